package main

// What the steps stand on: the records, the clients, the checks, and one line of output per step.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions    = 4
	records       = 100
	sharedRecords = 20
	wait          = 20 * time.Second
)

var (
	bootstrap = os.Getenv("BOOTSTRAP")
	shared    = os.Getenv("SHARED")
	duramen   = os.Getenv("DURAMEN") == "1"
	topic     = os.Getenv("PREFIX") + "-franz-go"
	group     = topic + "-group"
	baseTime  = time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	codecs    = []string{"none", "gzip", "snappy", "lz4", "zstd"}
	codecOf   = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

	expected [partitions][]*kgo.Record // what was produced to each partition of the topic, in order
	produced int
	failed   int
	client   = connect()
	admin    = kadm.NewClient(client)
)

// Records

// Keys, values and headers of every shape: absent, empty, small, and of all byte values.
func record(n int) *kgo.Record {
	r := &kgo.Record{Topic: topic, Partition: int32(n % partitions), Timestamp: baseTime.Add(time.Duration(n) * time.Millisecond)}
	if n%10 != 3 {
		r.Key = fmt.Appendf(nil, "key-%d", n)
	}
	if n%10 != 7 {
		r.Value = make([]byte, n*37%1500)
		for i := range r.Value {
			r.Value[i] = byte(n + i)
		}
	}
	if n%3 == 0 {
		r.Headers = []kgo.RecordHeader{{Key: "h", Value: strconv.AppendInt(nil, int64(n), 10)}, {Key: "empty", Value: []byte{}},
			{Key: "null"}, {Key: "h", Value: []byte("again")}}
	}
	return r
}

// Clients

func connect(options ...kgo.Opt) *kgo.Client {
	return must(kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.RetryTimeout(wait / 2),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, options...)...))
}

func poll(client *kgo.Client) []*kgo.Record {
	short, cancel := context.WithTimeout(ctx(), 100*time.Millisecond)
	defer cancel()
	fetched := client.PollFetches(short)
	for _, e := range fetched.Errors() {
		check(errors.Is(e.Err, context.DeadlineExceeded), fmt.Sprintf("partition %d: %v", e.Partition, e.Err))
	}
	return fetched.Records()
}

func setting(name string) string {
	described := must(must(admin.DescribeTopicConfigs(ctx(), topic)).On(topic, nil))
	for _, c := range described.Configs {
		if c.Key == name {
			return c.MaybeValue() + " " + c.Source.String()
		}
	}
	return "absent"
}

// SHA-256 of the key, repeated once more than the number at the key's end.
func sharedValue(key string) []byte {
	digest := sha256.Sum256([]byte(key))
	return bytes.Repeat(digest[:], must(strconv.Atoi(key[strings.LastIndex(key, "/")+1:]))+1)
}

// Steps

// A failed check, as opposed to a panic of the program.
type failure string

func step(name string, body func()) {
	defer func() {
		if reason := recover(); reason != nil {
			failed++
			first, _, _ := strings.Cut(fmt.Sprint(reason), "\n")
			fmt.Printf("FAIL %s: %s\n", name, first)
		} else {
			fmt.Printf("ok %s\n", name)
		}
	}()
	body()
}

func await(what string, holds func() bool) {
	for deadline := time.Now().Add(wait); !holds(); time.Sleep(10 * time.Millisecond) {
		check(time.Now().Before(deadline), fmt.Sprintf("waited %s in vain for: %s", wait, what))
	}
}

func must[T any](value T, err error) T {
	check(err == nil, fmt.Sprint(err))
	return value
}

func refused(expected, err error) {
	check(errors.Is(err, expected), fmt.Sprintf("expected %v, got %v", expected, err))
}

func same[T comparable](expected, actual T, what string) {
	check(expected == actual, fmt.Sprintf("%s: expected %v, got %v", what, expected, actual))
}

func check(holds bool, otherwise string) {
	if !holds {
		panic(failure(otherwise))
	}
}

// Every call to the broker ends in time.
func ctx() context.Context {
	context, cancel := context.WithTimeout(context.Background(), wait)
	time.AfterFunc(wait, cancel)
	return context
}
