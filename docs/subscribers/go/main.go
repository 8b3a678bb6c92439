// Reads the public events of kubernaut-workflow and prints one line of JSON for each.
//
// What the lines hold and how a subscriber must behave stands in ../README.md. In a program of your own, do your work
// where this one prints: after it the event is acknowledged, and an event that is not comes again.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	stream     = "KUBERNAUT_EVENTS"
	remembered = 10_000 // workflows whose last ordinal is kept
)

var known = regexp.MustCompile(`^io\.kubernaut\.(workflow\.(planned|validated|approved|rejected|started|paused|resumed|` +
	`completed|failed|cancelled|rolled_back|deleted)|step\.(ready|started|completed|failed|retrying|skipped|cancelled|` +
	`rolled_back))\.v1$`)

// line is what is printed for an event, for one of a type that is not known, or for a message that is none.
type line struct {
	Kind        string `json:"kind"`
	ID          string `json:"id,omitempty"`
	Type        string `json:"type,omitempty"`
	Ordinal     *int   `json:"ordinal,omitempty"`
	WorkflowUID string `json:"workflowUid,omitempty"`
	Error       string `json:"error,omitempty"`
	Sequence    uint64 `json:"sequence"`
}

// gap is printed when events are missing: the first and the last ordinal of a workflow's.
type gap struct {
	Kind        string `json:"kind"`
	WorkflowUID string `json:"workflowUid"`
	First       int    `json:"first"`
	Last        int    `json:"last"`
}

// data is what every public event says; fields that are not known are passed by.
type data struct {
	Workflow struct{ Namespace, Name, UID string }
	Step     *struct {
		Number int
		Action string
	}
	Before, After, Reason, Message string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := subscribe(ctx, os.Getenv("NATS_URL"), os.Getenv("KUBERNAUT_DURABLE")); err != nil {
		log.Fatal(err)
	}
}

func subscribe(ctx context.Context, server, durable string) error {
	inbox := "_INBOX_" + strings.ReplaceAll(durable, "-", "_") // what the read-only role may listen on
	conn, err := nats.Connect(server, nats.Name(durable), nats.CustomInboxPrefix(inbox), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable:       durable,
		FilterSubject: "kubernaut.event.>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       10 * time.Second,
		MaxAckPending: 1, // more lose the order when they come again
	})
	if err != nil {
		return fmt.Errorf("make the consumer: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, messages.Stop)
	places := ordinals{last: map[string]int{}, fromFirst: consumer.CachedInfo().Delivered.Stream == 0}
	for {
		message, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			log.Printf("no event now: %v", err)
			continue
		}
		for _, each := range places.take(message) {
			text, err := json.Marshal(each)
			if err != nil {
				return err
			}
			fmt.Println(string(text)) // your work
		}
		if err := message.Ack(); err != nil {
			log.Printf("an acknowledgement was not sent, the event comes again: %v", err)
		}
	}
}

// ordinals tells repeats and gaps by the last ordinal of each workflow.
type ordinals struct {
	last      map[string]int
	fromFirst bool
}

// take returns what is to be done about a message: nothing when it is a repeat, a gap first when something is missing.
func (o *ordinals) take(message jetstream.Msg) []any {
	found := read(message)
	tokens := strings.Split(message.Subject(), ".")
	ordinal, err := strconv.Atoi(message.Headers().Get("ce-ordinal"))
	if err != nil || len(tokens) != 6 {
		return []any{found}
	}
	uid := tokens[3]
	last, seen := o.last[uid]
	if seen && ordinal <= last {
		return nil
	}
	if !seen && len(o.last) >= remembered {
		clear(o.last)
		o.fromFirst = false // a workflow that is not remembered may be an old one
	}
	if !seen {
		last = -1
	}
	o.last[uid] = ordinal
	if ordinal > last+1 && (seen || o.fromFirst) {
		return []any{gap{"gap", uid, last + 1, ordinal - 1}, found}
	}
	return []any{found}
}

// read returns what a message is. It never fails: no message may stop a subscriber.
func read(message jetstream.Msg) line {
	sequence := uint64(0)
	if told, err := message.Metadata(); err == nil {
		sequence = told.Sequence.Stream
	}
	unreadable := func(why string) line { return line{Kind: "unreadable", Error: why, Sequence: sequence} }
	headers := message.Headers()
	id, err := attribute(headers, "ce-id")
	kind, err2 := attribute(headers, "ce-type")
	if err = errors.Join(err, err2); err != nil {
		return unreadable(err.Error())
	}
	if id == "" || kind == "" || headers.Get("ce-source") == "" || headers.Get("ce-specversion") != "1.0" {
		return unreadable("not a CloudEvent in binary mode")
	}
	if !known.MatchString(kind) {
		return line{Kind: "unknown", ID: id, Type: kind, Sequence: sequence}
	}
	var body data
	if err := json.Unmarshal(message.Data(), &body); err != nil {
		return unreadable(err.Error())
	}
	ordinal, err := strconv.Atoi(headers.Get("ce-ordinal"))
	if err != nil || body.Workflow.UID == "" {
		return unreadable("without an ordinal or a workflow")
	}
	return line{Kind: "event", ID: id, Type: kind, Ordinal: &ordinal, WorkflowUID: body.Workflow.UID, Sequence: sequence}
}

// attribute returns the value of a CloudEvents attribute, which is percent-encoded in its header.
func attribute(headers nats.Header, name string) (string, error) {
	value, err := url.PathUnescape(headers.Get(name))
	if err == nil && !utf8.ValidString(value) {
		err = fmt.Errorf("header %s is no UTF-8", name)
	}
	return value, err
}
