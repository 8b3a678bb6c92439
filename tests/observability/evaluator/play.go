package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
)

// fired is an alert at the moment that it began to fire.
type fired struct {
	Alert       string            `json:"alert"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	AtSeconds   int64             `json:"at_seconds"`
}

// standing is since when an alert is active, and whether it was told.
type standing struct {
	since time.Time
	told  bool
}

// world is the series, the engine over them, and which alerts are active.
type world struct {
	store    *store
	parser   parser.Parser
	engine   *promql.Engine
	interval time.Duration
	active   map[string]map[string]*standing // by alert, then by labels
}

func newWorld(held *store, reader parser.Parser, interval time.Duration) *world {
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: 1_000_000, Timeout: time.Minute, Parser: reader,
		EnableAtModifier: true, EnableNegativeOffset: true,
	})
	return &world{held, reader, engine, interval, map[string]map[string]*standing{}}
}

// play evaluates the rules at every step, in their order, and tells each alert once for each time that it began.
func (w *world) play(ctx context.Context, text string, steps int) ([]fired, error) {
	groups, problems := rulefmt.Parse([]byte(text), false, model.UTF8Validation, w.parser, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	told := []fired{}
	for step := range steps + 1 {
		at := time.UnixMilli(0).Add(w.interval * time.Duration(step))
		for _, group := range groups.Groups {
			for _, rule := range group.Rules {
				began, err := w.evaluate(ctx, rule, at)
				if err != nil {
					return nil, fmt.Errorf("%s%s: %w", rule.Alert, rule.Record, err)
				}
				told = append(told, began...)
			}
		}
	}
	return told, nil
}

func (w *world) evaluate(ctx context.Context, rule rulefmt.Rule, at time.Time) ([]fired, error) {
	found, err := w.vector(ctx, rule.Expr, at)
	if err != nil {
		return nil, err
	}
	if rule.Record != "" {
		for _, one := range found {
			w.store.add(named(one.Metric, rule), at.UnixMilli(), one.F)
		}
		return nil, nil
	}
	return w.alerts(ctx, rule, found, at)
}

// alerts keeps to Prometheus' rule for `for`: active at every evaluation since the first, which is that long ago.
func (w *world) alerts(ctx context.Context, rule rulefmt.Rule, found promql.Vector, at time.Time) ([]fired, error) {
	told, before, now := []fired{}, w.active[rule.Alert], map[string]*standing{}
	w.active[rule.Alert] = now
	for _, one := range found {
		metric := labels.NewBuilder(one.Metric).Del(labels.MetricName)
		key := metric.Labels().String()
		if now[key] != nil {
			return nil, fmt.Errorf("the series %s is there twice", key)
		}
		if now[key] = before[key]; now[key] == nil {
			now[key] = &standing{since: at}
		}
		if now[key].told || at.Sub(now[key].since) < time.Duration(rule.For) {
			continue
		}
		now[key].told = true
		words, err := w.words(ctx, rule, one, at)
		if err != nil {
			return nil, err
		}
		for name, text := range rule.Labels {
			metric.Set(name, text)
		}
		told = append(told, fired{rule.Alert, metric.Labels().Map(), words, at.Unix()})
	}
	return told, nil
}

func (w *world) words(ctx context.Context, rule rulefmt.Rule, one promql.Sample, at time.Time) (map[string]string, error) {
	told := map[string]string{}
	data := template.AlertTemplateData(one.Metric.Map(), nil, "", one)
	for name, text := range rule.Annotations {
		expander := template.NewTemplateExpander(
			ctx, "{{$labels := .Labels}}{{$value := .Value}}"+text, rule.Alert, data, model.Time(at.UnixMilli()),
			w.vector, &url.URL{}, []string{"missingkey=error"},
		)
		words, err := expander.Expand()
		if err != nil {
			return nil, err
		}
		told[name] = words
	}
	return told, nil
}

func (w *world) vector(ctx context.Context, text string, at time.Time) (promql.Vector, error) {
	query, err := w.engine.NewInstantQuery(ctx, w.store, nil, text, at)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	if scalar, err := result.Scalar(); err == nil {
		return promql.Vector{{T: scalar.T, F: scalar.V}}, nil
	}
	found, err := result.Vector()
	return append(promql.Vector{}, found...), err
}

func (w *world) values(ctx context.Context, text string, after time.Duration) ([]string, error) {
	found, err := w.vector(ctx, text, time.UnixMilli(0).Add(after))
	told := []string{}
	for _, one := range found {
		told = append(told, strconv.FormatFloat(one.F, 'g', 6, 64))
	}
	return told, err
}

func named(metric labels.Labels, rule rulefmt.Rule) labels.Labels {
	made := labels.NewBuilder(metric).Set(labels.MetricName, rule.Record)
	for name, text := range rule.Labels {
		made.Set(name, text)
	}
	return made.Labels()
}
