"""The server information endpoints: constants of a fresh installation."""

import json

from service.demo.immich.api_version import Dialect

IMAGES = "avif bmp gif jpeg jpg png webp 3fr ari arw cap cin cr2 cr3 crw dcr dng erf fff iiq k25 kdc mrw nef nrw orf ori pef psd raf raw rw2 rwl sr2 srf srw x3f heic heif hif insp jp2 jpe jxl mpo svg tif tiff"
VIDEOS = "3gp 3gpp avi flv insv m2t m2ts m4v mkv mov mp4 mpe mpeg mpg mts mxf ts vob webm wmv"
OFF = "smartSearch duplicateDetection importFaces oauth oauthAutoLaunch ocr configFile email"
ON = "facialRecognition map reverseGeocoding sidecar search trash passwordLogin"


def version(dialect: Dialect) -> str:
    numbers: dict[str, int | None] = {"major": dialect.major, "minor": dialect.minor, "patch": dialect.patch}
    return json.dumps(numbers | ({} if dialect.two else {"prerelease": None}))


def about(dialect: Dialect) -> str:
    release = f"https://github.com/immich-app/immich/releases/tag/v{dialect}"
    parts = {"nodejs": "v24.0.0", "exiftool": "13.50", "ffmpeg": "7.1", "libvips": "8.17.3", "imagemagick": ""}
    return json.dumps({"version": f"v{dialect}", "versionUrl": release, "licensed": False} | parts)


def config(dialect: Dialect, minimum_faces: int) -> str:
    facts: dict[str, object] = {
        "loginPageMessage": "",
        "trashDays": 30,
        "userDeleteDelay": 7,
        "oauthButtonText": "Login with OAuth",
        "isInitialized": True,
        "isOnboarded": True,
        "externalDomain": "",
        "publicUsers": True,
        "mapDarkStyleUrl": "",
        "mapLightStyleUrl": "",
        "maintenanceMode": False,
    }
    return json.dumps(facts | ({} if dialect.two else {"minFaces": minimum_faces}))


def features(dialect: Dialect) -> str:
    facts = dict.fromkeys(ON.split(), True) | dict.fromkeys(OFF.split(), False)
    return json.dumps(facts | ({} if dialect.two else {"realtimeTranscoding": False}))


def media_types() -> str:
    kinds = {"video": VIDEOS, "image": IMAGES, "sidecar": "xmp"}
    return json.dumps({kind: [f".{ending}" for ending in endings.split()] for kind, endings in kinds.items()})
