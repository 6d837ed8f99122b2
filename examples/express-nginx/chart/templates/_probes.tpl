{{- define "sidecar.probes" -}}
startupProbe:
  httpGet: { path: {{ .path }}, port: {{ .port }} }
  failureThreshold: 10
  periodSeconds: {{ .values.periodSeconds }}
livenessProbe:
  httpGet: { path: {{ .path }}, port: {{ .port }} }
  failureThreshold: 2
  periodSeconds: {{ .values.periodSeconds }}
{{- end -}}
