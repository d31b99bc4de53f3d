{{- define "facesets.labels" -}}
app.kubernetes.io/name: immich-facesets
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "facesets.selector" -}}
app.kubernetes.io/name: immich-facesets
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "facesets.tag" -}}
{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "facesets.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.securityContext.user }}
runAsGroup: {{ .Values.securityContext.group }}
fsGroup: {{ .Values.securityContext.group }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "facesets.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
