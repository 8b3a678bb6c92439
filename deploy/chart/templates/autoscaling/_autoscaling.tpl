{{/* What holds for one service: autoscaling.limits, and over it what autoscaling.services says. Takes root and service. */}}
{{- define "kubernaut.scaling" -}}
{{- $own := get (.root.Values.autoscaling.services | default dict) .service | default dict }}
{{- mergeOverwrite (deepCopy .root.Values.autoscaling.limits) $own | toYaml }}
{{- end }}

{{/* One replica less a minute, and only after five quiet ones: what a replica has in hand is worked on by another later. */}}
{{- define "kubernaut.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies: [{type: Pods, value: 2, periodSeconds: 30}]
scaleDown:
  stabilizationWindowSeconds: 300
  policies: [{type: Pods, value: 1, periodSeconds: 60}]
{{- end }}

{{/* Host and port where NATS tells of its streams. */}}
{{- define "kubernaut.natsMonitoring" -}}
{{- $default := .Values.nats.builtin.enabled | ternary (printf "%s-nats.%s.svc:8222" (include "kubernaut.fullname" .) .Release.Namespace) "" }}
{{- .Values.autoscaling.keda.natsMonitoring | default $default | required "autoscaling.keda.natsMonitoring: give host and port of NATS' monitoring, such as nats.nats.svc:8222" }}
{{- end }}

{{/* A NATS of the chart's own without users has no account but the global one. */}}
{{- define "kubernaut.natsAccount" -}}
{{- and .Values.nats.builtin.enabled (not .Values.nats.builtin.usersSecret) | ternary "$G" .Values.autoscaling.keda.account }}
{{- end }}
