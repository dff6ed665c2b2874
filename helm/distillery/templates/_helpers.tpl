{{- define "distillery.fullname" -}}
{{- $default := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- .Values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "distillery.selectorLabels" -}}
app.kubernetes.io/name: distillery-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "distillery.labels" -}}
{{ include "distillery.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Not the operator's: its Service, spread and monitors select by those. */ -}}
{{- define "distillery.collectorLabels" -}}
app.kubernetes.io/name: distillery-gc
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "distillery.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "distillery.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- /* Of the cluster, so that the name holds the namespace: releases in other namespaces have one of their own. */ -}}
{{- define "distillery.crdsRole" -}}
{{ include "distillery.fullname" . }}-crds-{{ .Release.Namespace }}
{{- end }}

{{- /* Ends every binding. */ -}}
{{- define "distillery.subjects" }}
subjects:
  - kind: ServiceAccount
    name: {{ include "distillery.serviceAccount" . }}
    namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* Takes a list: the image's values, and the tag where they name none. */ -}}
{{- define "distillery.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 1) }}
{{- end -}}
{{- end }}

{{- /* What the operator reads with --settings: values.settings, the images and the scope. */ -}}
{{- define "distillery.settings" -}}
{{- $images := dict
  "workerImage" (include "distillery.image" (list .Values.images.worker .Chart.AppVersion))
  "serverImage" (include "distillery.image" (list .Values.images.server .Chart.AppVersion)) -}}
{{- $scope := dict "watchNamespace" .Values.watchNamespace "checkCrds" .Values.crds.check -}}
{{- merge $images $scope .Values.settings | toPrettyJson -}}
{{- end }}
