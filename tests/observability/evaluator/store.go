package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// store holds series in memory, for the engine to read.
type store struct {
	series []*line
	byKey  map[string]*line
}

type line struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func load(reader parser.Parser, descriptions []string, interval time.Duration) (*store, error) {
	made := &store{byKey: map[string]*line{}}
	for _, text := range descriptions {
		metric, values, err := reader.ParseSeriesDesc(text)
		if err != nil {
			return nil, fmt.Errorf("series %s: %w", text, err)
		}
		if _, there := made.byKey[metric.String()]; there {
			return nil, fmt.Errorf("series %s is there twice", metric)
		}
		for place, value := range values {
			if !value.Omitted {
				made.add(metric, interval.Milliseconds()*int64(place), value.Value)
			}
		}
	}
	return made, nil
}

func (s *store) add(metric labels.Labels, at int64, value float64) {
	key := metric.String()
	one, there := s.byKey[key]
	if !there {
		one = &line{labels: metric}
		s.byKey[key] = one
		s.series = append(s.series, one)
	}
	one.samples = append(one.samples, sample{at: at, value: value})
}

// Querier is asked by the engine; the limits of time are its own to keep.
func (s *store) Querier(_, _ int64) (storage.Querier, error) { return reading{s}, nil }

type reading struct{ *store }

func (r reading) Select(_ context.Context, _ bool, _ *storage.SelectHints, wanted ...*labels.Matcher) storage.SeriesSet {
	found := &chosen{place: -1}
	for _, one := range r.series {
		if matches(one.labels, wanted) {
			found.series = append(found.series, storage.NewListSeries(one.labels, one.samples))
		}
	}
	return found
}

func matches(found labels.Labels, wanted []*labels.Matcher) bool {
	for _, one := range wanted {
		if !one.Matches(found.Get(one.Name)) {
			return false
		}
	}
	return true
}

func (reading) LabelValues(
	context.Context, string, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (reading) LabelNames(
	context.Context, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (reading) Close() error { return nil }

type chosen struct {
	series []storage.Series
	place  int
}

func (c *chosen) Next() bool {
	c.place++
	return c.place < len(c.series)
}
func (c *chosen) At() storage.Series              { return c.series[c.place] }
func (*chosen) Err() error                        { return nil }
func (*chosen) Warnings() annotations.Annotations { return nil }

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                    { return s.at }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }
