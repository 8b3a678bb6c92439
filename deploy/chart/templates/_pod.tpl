{{/* What the pods of the services and of the setup jobs have in common. */}}

{{/* With `kubernaut.containerSecurity`: what the pod security standard `restricted` asks for. 65532: as in the image. */}}
{{- define "kubernaut.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kubernaut.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What of its own access to the API a pod needs: a token for an hour, which the kubelet renews. Takes the root. */}}
{{- define "kubernaut.tokenVolume" -}}
- name: api-token
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
    - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end }}

{{- define "kubernaut.tokenMount" -}}
- {name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{/* The login on NATS. Takes root and user. */}}
{{- define "kubernaut.natsEnv" -}}
- name: NATS_URL
  value: {{ include "kubernaut.natsUrl" .root | quote }}
{{- if eq .root.Values.nats.auth.method "seed" }}
- {name: KUBERNAUT_NATS_SEED_FILE, value: /etc/kubernaut/nats/seed}
{{- else if eq .root.Values.nats.auth.method "creds" }}
- {name: KUBERNAUT_NATS_CREDS_FILE, value: /etc/kubernaut/nats/creds}
{{- end }}
{{- if .root.Values.nats.tls.existingSecret }}
- {name: KUBERNAUT_NATS_TLS_DIR, value: /etc/kubernaut/nats-tls}
{{- end }}
{{- if .root.Values.nats.tls.handshakeFirst }}
- {name: KUBERNAUT_NATS_TLS_FIRST, value: "true"}
{{- end }}
{{- end }}

{{- define "kubernaut.natsMounts" -}}
{{- if ne .root.Values.nats.auth.method "none" }}
- {name: nats, mountPath: /etc/kubernaut/nats, readOnly: true}
{{- end }}
{{- if .root.Values.nats.tls.existingSecret }}
- {name: nats-tls, mountPath: /etc/kubernaut/nats-tls, readOnly: true}
{{- end }}
{{- end }}

{{/* Of the Secret with the seeds of all users a pod sees its own only. Takes root and user. */}}
{{- define "kubernaut.natsVolumes" -}}
{{- $auth := .root.Values.nats.auth }}
{{- if ne $auth.method "none" }}
- name: nats
  secret:
    secretName: {{ $auth.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .user }}, path: {{ $auth.method }}}]
{{- end }}
{{- with .root.Values.nats.tls.existingSecret }}
- name: nats-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* The login on PostgreSQL. Takes root and role, writer or owner. */}}
{{- define "kubernaut.databaseEnv" -}}
{{- $role := get .root.Values.postgresql .role }}
{{- if $role.urlKey }}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $role.existingSecret }}, key: {{ $role.urlKey }}}}
{{- else }}
- name: DATABASE_URL
  value: {{ include "kubernaut.databaseUrl" . | quote }}
{{- if $role.existingSecret }}
- {name: KUBERNAUT_DATABASE_PASSWORD_FILE, value: /etc/kubernaut/database/password}
{{- end }}
{{- end }}
{{- end }}

{{- define "kubernaut.databaseMounts" -}}
{{- $role := get .root.Values.postgresql .role }}
{{- if and $role.existingSecret (not $role.urlKey) }}
- {name: database, mountPath: /etc/kubernaut/database, readOnly: true}
{{- end }}
{{- if .root.Values.postgresql.tls.existingSecret }}
- {name: database-tls, mountPath: /etc/kubernaut/database-tls, readOnly: true}
{{- end }}
{{- if $role.certificateSecret }}
- {name: database-certificate, mountPath: /etc/kubernaut/database-certificate, readOnly: true}
{{- end }}
{{- end }}

{{- define "kubernaut.databaseVolumes" -}}
{{- $role := get .root.Values.postgresql .role }}
{{- if and $role.existingSecret (not $role.urlKey) }}
- name: database
  secret:
    secretName: {{ $role.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ $role.passwordKey }}, path: password}]
{{- end }}
{{- with .root.Values.postgresql.tls.existingSecret }}
- name: database-tls
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with $role.certificateSecret }}
- name: database-certificate
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
