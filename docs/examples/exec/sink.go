// Appends each change to a file, and answers when it is on disk: sink FILE
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	file, err := os.OpenFile(os.Args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	in := bufio.NewReader(os.Stdin) // a Scanner would stop at a line of 64 KiB
	for line, end := in.ReadBytes('\n'); err == nil && end == nil; line, end = in.ReadBytes('\n') {
		var event struct{ ID string }
		if err = json.Unmarshal(line, &event); err != nil {
			break
		}
		if _, err = file.Write(line); err == nil {
			err = file.Sync()
		}
		if err == nil {
			fmt.Printf("{\"id\":%q}\n", event.ID)
		}
	}
	if err != nil {
		panic(err)
	}
}
