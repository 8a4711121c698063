// Pushes the lines of a file exactly once: go run push.go URL SOURCE FILE. The state is the number of lines pushed.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"time"
)

const linesPerBatch = 100

type answer struct{ Accepted, Message string }

var client = http.Client{Timeout: time.Minute}

// Repeats a call with growing pauses until there is an answer that says something.
func call(method, url string, body []byte, headers map[string]string) (int, answer) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		request, err := http.NewRequest(method, url, bytes.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		if token := os.Getenv("SLUICE_TOKEN"); token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		if response, err := client.Do(request); err == nil {
			var got answer
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			again := response.StatusCode == 408 || response.StatusCode == 429 || response.StatusCode >= 500
			if err == nil && !again && json.Unmarshal(text, &got) == nil {
				return response.StatusCode, got
			}
		}
		time.Sleep(pause/2 + time.Duration(rand.Int63n(int64(pause/2))))
	}
}

func min(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: push URL SOURCE FILE")
	}
	url, source := os.Args[1], os.Args[2]
	text, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 { // after the last newline, or in an empty file
		lines = lines[:len(lines)-1]
	}
	state := "*"
	if status, got := call("GET", url+"/sources/"+source+"/state", nil, nil); status == 200 {
		state = got.Accepted
	}
	for {
		done := 0
		if state != "*" {
			if done, err = strconv.Atoi(state); err != nil || done < 0 {
				log.Fatalf("the source's state is no number of lines: %q", state)
			}
		}
		if done >= len(lines) {
			return
		}
		next := done + linesPerBatch
		if next > len(lines) {
			next = len(lines)
		}
		after := strconv.Itoa(next)
		status, got := call("POST", url+"/ingest?sourceName="+source, bytes.Join(lines[done:next], nil),
			map[string]string{"ODF-If-Source-State": state, "ODF-Source-State": after})
		switch {
		case status == 200 || status == 202:
			state = after
		case status == 412 && got.Accepted != "":
			state = got.Accepted // go where the source is
		default:
			fmt.Fprintln(os.Stderr, "stopped:", status, got.Message)
			os.Exit(1)
		}
	}
}
