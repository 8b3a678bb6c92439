// Evaluator runs Prometheus' own parser, engine and templates on rules and recorded series: what `promtool` does for
// rules, without the half of Prometheus that promtool links. It reads one request from standard input as JSON and writes
// one answer. It asks no server and keeps nothing.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// request says what to do: inspect expressions, and run a rule file on series, where there are any.
type request struct {
	Expressions     []string `json:"expressions"`
	Rules           string   `json:"rules"`
	Series          []string `json:"series"` // one a line in the notation of promtool: up{job="a"} 1+0x60
	IntervalSeconds int      `json:"interval_seconds"`
	Steps           int      `json:"steps"`
}

type answer struct {
	Expressions []inspected `json:"expressions"`
	Fired       []fired     `json:"fired"`
	Values      []string    `json:"values"` // of each expression at the end, over the series and the recorded ones
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return fmt.Errorf("the request: %w", err)
	}
	told := answer{}
	reader := parser.NewParser(parser.Options{})
	for _, text := range asked.Expressions {
		told.Expressions = append(told.Expressions, inspect(reader, text))
	}
	if asked.Rules != "" {
		interval := time.Duration(asked.IntervalSeconds) * time.Second
		store, err := load(reader, asked.Series, interval)
		if err != nil {
			return err
		}
		world := newWorld(store, reader, interval)
		if told.Fired, err = world.play(context.Background(), asked.Rules, asked.Steps); err != nil {
			return err
		}
		for _, text := range asked.Expressions {
			found, err := world.values(context.Background(), text, interval*time.Duration(asked.Steps))
			if err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
			told.Values = append(told.Values, found...)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}
