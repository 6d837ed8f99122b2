{{- define "shop.labels" -}}
app: {{ .Release.Name }}
{{- with .Values.selector }}
{{ toYaml . }}
{{- end }}
{{- end }}
