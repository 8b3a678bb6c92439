{{/* Where NATS and PostgreSQL are. */}}

{{- define "kubernaut.natsUrl" -}}
{{- if .Values.nats.url }}
{{- .Values.nats.url }}
{{- else if .Values.nats.builtin.enabled }}
{{- printf "nats://%s-nats.%s.svc:4222" (include "kubernaut.fullname" .) .Release.Namespace }}
{{- else }}
{{- fail "nats.url: give the address of NATS, such as tls://nats.nats.svc:4222 (or nats.builtin.enabled, for trying)" }}
{{- end }}
{{- end }}

{{/* Takes root and role. */}}
{{- define "kubernaut.databaseUrl" -}}
{{- $postgresql := .root.Values.postgresql }}
{{- $role := get $postgresql .role }}
{{- $host := $postgresql.host }}
{{- $query := list (printf "sslmode=%s" $postgresql.sslMode) }}
{{- if $postgresql.builtin.enabled }}
{{- $host = printf "%s-postgresql.%s.svc" (include "kubernaut.fullname" .root) .root.Release.Namespace }}
{{- $query = list "sslmode=disable" }}
{{- else if $postgresql.tls.existingSecret }}
{{- $query = append $query "sslrootcert=/etc/kubernaut/database-tls/ca.crt" }}
{{- end }}
{{- if $role.certificateSecret }}
{{- $folder := "/etc/kubernaut/database-certificate" }}
{{- $query = concat $query (list (printf "sslcert=%s/tls.crt" $folder) (printf "sslkey=%s/tls.key" $folder)) }}
{{- end }}
{{- if not $host }}
{{- fail (printf "postgresql.host: give the host of PostgreSQL, or postgresql.%s.urlKey (or postgresql.builtin.enabled, for trying)" .role) }}
{{- end }}
{{- printf "postgresql://%s@%s:%v/%s?%s" (urlquery $role.user) $host $postgresql.port $postgresql.database (join "&" $query) }}
{{- end }}
