{{/*
A job of `python -m kubernaut.install`. Takes root, component, args, env, mounts, volumes, and init: containers before it.

Its name holds a digest of all that it is told: a job cannot be changed, and one that is told something else runs anew.
What it does it may do any number of times.
*/}}
{{- define "kubernaut.job" -}}
{{- $root := .root }}
{{- $pod := include "kubernaut.jobPod" . }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "kubernaut.fullname" $root }}-{{ .component }}-{{ $pod | sha256sum | trunc 8 }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "kubernaut.labels" . | nindent 4 }}
spec:
  backoffLimit: 10 # servers that come up late; each try waits for them five minutes
  {{- if not (kindIs "invalid" $root.Values.setup.ttlSecondsAfterFinished) }}
  ttlSecondsAfterFinished: {{ $root.Values.setup.ttlSecondsAfterFinished }}
  {{- end }}
  template:
    {{- $pod | nindent 4 }}
{{- end }}

{{- define "kubernaut.jobPod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "kubernaut.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
    app.kubernetes.io/part-of: kubernaut-workflow
    {{- with $root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "kubernaut.fullname" $root }}-setup
  automountServiceAccountToken: false # it asks NATS and PostgreSQL, never the API
  enableServiceLinks: false
  securityContext: {{- include "kubernaut.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
  {{- end }}
  {{- with $root.Values.defaults.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.defaults.tolerations }}
  tolerations: {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .init }}
  initContainers:
  {{- . | nindent 2 }}
  {{- end }}
  containers:
  - name: {{ .component }}
    {{- include "kubernaut.jobContainer" . | nindent 4 }}
  volumes:
  - {name: tmp, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
  {{- .volumes | trim | nindent 2 }}
{{- end }}

{{/* All of a container but its name. Takes root, args, env and mounts. */}}
{{- define "kubernaut.jobContainer" -}}
image: {{ include "kubernaut.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [python, -m, kubernaut.install, --timeout, "300"]
args: {{ toJson .args }}
env: {{- .env | trim | nindent 0 }}
resources: {{- toYaml .root.Values.setup.resources | nindent 2 }}
securityContext: {{- include "kubernaut.containerSecurity" .root | nindent 2 }}
volumeMounts:
- {name: tmp, mountPath: /tmp}
{{- .mounts | trim | nindent 0 }}
{{- end }}
