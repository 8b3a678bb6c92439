{{/* Environment, mounts and volumes of one service. Each takes what `kubernaut.service` makes. */}}

{{- define "kubernaut.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- include "kubernaut.natsEnv" (dict "root" .root "user" .component) | trim | nindent 0 }}
{{- if .usesDatabase }}
{{- include "kubernaut.databaseEnv" (dict "root" .root "role" "writer") | trim | nindent 0 }}
{{- end }}
{{- include "kubernaut.commonEnv" .root | trim | nindent 0 }}
{{- if and .root.Values.kubernetes.namespaces (has .service (list "watcher" "executorBridge")) }}
- {name: KUBERNAUT_WATCH_NAMESPACES, value: {{ join "," .root.Values.kubernetes.namespaces | quote }}}
{{- end }}
{{- include "kubernaut.ownEnv" . }}
{{- with .values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Takes the root. */}}
{{- define "kubernaut.commonEnv" -}}
- {name: KUBERNAUT_BIND, value: {{ .Values.bind | quote }}}
- {name: KUBERNAUT_LOG_LEVEL, value: {{ .Values.logLevel }}}
- {name: KUBERNAUT_STOP_SECONDS, value: {{ .Values.stopSeconds | quote }}}
{{- if .Values.metrics.auth.enabled }}
- {name: KUBERNAUT_METRICS_AUDIENCE, value: {{ .Values.metrics.auth.audience | quote }}}
{{- end }}
{{- if .Values.metrics.tls.existingSecret }}
- {name: KUBERNAUT_METRICS_TLS_DIR, value: /etc/kubernaut/metrics-tls}
{{- end }}
{{- with .Values.tracing }}
{{- if .endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }}}
{{- if .headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .headersSecret }}, key: headers}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Settings that one service alone has, by the key of each in `services`. */}}
{{- define "kubernaut.ownEnv" -}}
{{- $variables := dict
  "resyncSeconds" "KUBERNAUT_RESYNC_SECONDS"
  "freshnessSeconds" "KUBERNAUT_FRESHNESS_SECONDS"
  "maxActiveWorkflows" "KUBERNAUT_MAX_ACTIVE_WORKFLOWS"
  "learnSeconds" "KUBERNAUT_LEARN_SECONDS"
  "sealSeconds" "KUBERNAUT_SEAL_SECONDS" }}
{{- range $key, $variable := $variables }}
{{- if hasKey $.values $key }}
- {name: {{ $variable }}, value: {{ get $.values $key | int64 | quote }}}
{{- end }}
{{- end }}
{{- if .values.clustersSecret }}
- {name: KUBERNAUT_CLUSTERS_DIR, value: /etc/kubernaut/clusters}
{{- end }}
{{- end }}

{{- define "kubernaut.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- include "kubernaut.natsMounts" . }}
{{- if .usesDatabase }}
{{- include "kubernaut.databaseMounts" (dict "root" .root "role" "writer") }}
{{- end }}
{{- if .usesApi }}
{{- include "kubernaut.tokenMount" .root | nindent 0 }}
{{- end }}
{{- if .root.Values.metrics.tls.existingSecret }}
- {name: metrics-tls, mountPath: /etc/kubernaut/metrics-tls, readOnly: true}
{{- end }}
{{- if .values.clustersSecret }}
- {name: clusters, mountPath: /etc/kubernaut/clusters, readOnly: true}
{{- end }}
{{- end }}

{{/* /tmp: where OpenSSL is given a client certificate that a kubeconfig holds as text. */}}
{{- define "kubernaut.volumes" -}}
- {name: tmp, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
{{- include "kubernaut.natsVolumes" (dict "root" .root "user" .component) }}
{{- if .usesDatabase }}
{{- include "kubernaut.databaseVolumes" (dict "root" .root "role" "writer") }}
{{- end }}
{{- if .usesApi }}
{{- include "kubernaut.tokenVolume" .root | nindent 0 }}
{{- end }}
{{- with .root.Values.metrics.tls.existingSecret }}
- name: metrics-tls
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- with .values.clustersSecret }}
- name: clusters
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
