{{/* The Deployment of one service. Takes what `kubernaut.service` makes. */}}
{{- define "kubernaut.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "kubernaut.labels" . | nindent 4 }}
spec:
  {{- if not (include "kubernaut.isAutoscaled" .) }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy: # a new one is ready before an old one goes, so one replica is enough for an upgrade without a pause
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels: {{- include "kubernaut.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "kubernaut.selectorLabels" . | nindent 8 }}
        app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
        app.kubernetes.io/part-of: kubernaut-workflow
        {{- with .root.Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with .values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec: {{- include "kubernaut.podSpec" . | nindent 6 }}
{{- end }}

{{/* Whether an autoscaler says how many replicas there are. */}}
{{- define "kubernaut.isAutoscaled" -}}
{{- if and (ne .root.Values.autoscaling.method "none") (hasKey (.root.Files.Get "files/lag.yaml" | fromYaml) .service) }}true{{ end }}
{{- end }}

{{- define "kubernaut.podSpec" -}}
serviceAccountName: {{ .name }}
automountServiceAccountToken: false # the token is a volume below, where it is needed at all
enableServiceLinks: false
securityContext: {{- include "kubernaut.podSecurity" . | nindent 2 }}
terminationGracePeriodSeconds: {{ add .root.Values.stopSeconds 5 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints: {{- include "kubernaut.spread" . | trim | nindent 0 }}
containers:
- name: {{ .component }}
  image: {{ include "kubernaut.image" .root | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: [python, -m, {{ snakecase .service }}]
  env: {{- include "kubernaut.env" . | trim | nindent 2 }}
  ports:
  - {name: health, containerPort: 8080, protocol: TCP}
  - {name: metrics, containerPort: 9090, protocol: TCP}
  # Alive: its event loop turns. NATS, PostgreSQL or the API being away makes it unready, never dead.
  startupProbe:
    httpGet: {path: /livez, port: health}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 30
  livenessProbe:
    httpGet: {path: /livez, port: health}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  readinessProbe:
    httpGet: {path: /readyz, port: health}
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: 2
  resources: {{- toYaml .values.resources | nindent 4 }}
  securityContext: {{- include "kubernaut.containerSecurity" . | nindent 4 }}
  volumeMounts: {{- include "kubernaut.mounts" . | trim | nindent 2 }}
volumes: {{- include "kubernaut.volumes" . | trim | nindent 0 }}
{{- end }}

{{- define "kubernaut.spread" -}}
{{- if .values.topologySpreadConstraints }}
{{- toYaml .values.topologySpreadConstraints }}
{{- else }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "kubernaut.selectorLabels" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash] # the pods of the last version do not count
{{- end }}
{{- end }}
{{- end }}
