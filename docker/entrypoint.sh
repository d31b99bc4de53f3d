#!/bin/sh
# The command of an image: starts the program of its own name, and never as root unless that is asked for.
#
# An image's own user is 10001:10001. A container that is started as another one (--user 99:100) needs nothing more.
# One that is started as root (--user 0:0) becomes PUID:PGID here, also for each `docker exec`.
set -eu

program=${0%/*}/../venv/bin/${0##*/}

refuse() {
  echo "${0##*/}: $1" >&2
  exit 3
}

check_number() {
  case $2 in
    '' | *[!0-9]*) refuse "$1 must be a number, such as $3: $2" ;;
  esac
  if [ "${#2}" -gt 10 ] || [ "$2" -gt 4294967294 ]; then
    refuse "$1 is no id of a user or group: $2"
  fi
}

uid=$(id -u)
gid=$(id -g)
puid=${PUID:-}
pgid=${PGID:-}

if [ "$uid" != 0 ]; then
  if [ "${puid:-$uid}" != "$uid" ] || [ "${pgid:-$gid}" != "$gid" ]; then
    refuse "PUID=$puid and PGID=$pgid ask for another user than $uid:$gid, which this container was started as: start it with --user ${puid:-$uid}:${pgid:-$gid} and without them, or with --user 0:0"
  fi
  exec "$program" "$@"
fi

puid=${puid:-10001}
pgid=${pgid:-10001}
check_number PUID "$puid" 1000
check_number PGID "$pgid" 1000
if [ "$puid" -eq 0 ] || [ "$pgid" -eq 0 ]; then
  if [ "${ALLOW_ROOT:-}" != yes ]; then
    refuse "PUID=$puid and PGID=$pgid would run it as root, which it never needs: name the owner of your folders, or set ALLOW_ROOT=yes where root is you, as in rootless Docker"
  fi
  if [ "$puid" -eq 0 ]; then
    exec "$program" "$@"
  fi
fi

# A new volume belongs to root or to the image's user. What is in use already keeps its owner, whoever that is.
for folder in "${FACESETS_DATA_DIR:-}" "${FACESETS_EXPORT_DIR:-}"; do
  if [ -d "$folder" ] && [ ! -L "$folder" ] && content=$(ls -A "$folder" 2>/dev/null) && [ -z "$content" ]; then
    chown "$puid:$pgid" "$folder" || true
  fi
done

# Groups of the container, such as that of a GPU's device, stay; root's own does not.
groups=
for group in $(id -G); do
  if [ "$group" != 0 ]; then
    groups=${groups:+$groups,}$group
  fi
done
if [ -n "$groups" ]; then
  groups=--groups=$groups
else
  groups=--clear-groups
fi
set -- "--reuid=$puid" "--regid=$pgid" "$groups" --inh-caps=-all --no-new-privs "$program" "$@"
if ! setpriv "$1" "$2" "$3" "$4" "$5" true 2>/dev/null; then
  refuse "this container may not become $puid:$pgid: give it the capabilities SETUID and SETGID, or start it with --user $puid:$pgid"
fi
export HOME=/nonexistent
exec setpriv "$@"
