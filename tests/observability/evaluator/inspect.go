package main

import "github.com/prometheus/prometheus/promql/parser"

// inspected is what an expression asks for, or why it is none.
type inspected struct {
	Error     string     `json:"error"`
	Kind      string     `json:"kind"` // vector or scalar
	Selectors []selector `json:"selectors"`
	Labels    []string   `json:"labels"` // that it groups or matches by
}

type selector struct {
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
	Bound  string   `json:"bound"` // of a histogram's bucket, where one is named
}

func inspect(reader parser.Parser, text string) inspected {
	parsed, err := reader.ParseExpr(text)
	if err != nil {
		return inspected{Error: err.Error()}
	}
	found := inspected{Kind: string(parsed.Type()), Selectors: []selector{}, Labels: []string{}}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch one := node.(type) {
		case *parser.VectorSelector:
			found.Selectors = append(found.Selectors, selected(one))
		case *parser.AggregateExpr:
			found.Labels = append(found.Labels, one.Grouping...)
		case *parser.BinaryExpr:
			if one.VectorMatching != nil {
				found.Labels = append(found.Labels, one.VectorMatching.MatchingLabels...)
				found.Labels = append(found.Labels, one.VectorMatching.Include...)
			}
		}
		return nil
	})
	return found
}

func selected(one *parser.VectorSelector) selector {
	told := selector{Metric: one.Name, Labels: []string{}}
	for _, matcher := range one.LabelMatchers {
		if matcher.Name != "__name__" {
			told.Labels = append(told.Labels, matcher.Name)
		}
		if matcher.Name == "le" {
			told.Bound = matcher.Value
		}
	}
	return told
}
