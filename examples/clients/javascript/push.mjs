#!/usr/bin/env node
// Pushes the lines of a file exactly once: node push.mjs URL SOURCE FILE. The state is the number of lines pushed.
import { readFileSync } from 'node:fs'

const [url, source, path] = process.argv.slice(2)
const linesPerBatch = 100
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms))

// Repeats a call with growing pauses until there is an answer that says something.
async function call(address, options = {}) {
  if (process.env.SLUICE_TOKEN) options.headers = { ...options.headers, Authorization: `Bearer ${process.env.SLUICE_TOKEN}` }
  for (let pause = 100; ; pause = Math.min(pause * 2, 10_000)) {
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), 30_000) // and something to stay alive for, when a connection is cut
    try {
      const response = await fetch(address, { ...options, signal: abort.signal })
      const answer = await response.json()
      const again = response.status === 408 || response.status === 429 || response.status >= 500
      if (!again) return [response.status, answer]
    } catch {
      // no answer, or half of one
    } finally {
      clearTimeout(timer)
    }
    await sleep(pause * (0.5 + Math.random() / 2))
  }
}

const lines = readFileSync(path, 'latin1').match(/[^\n]*\n|[^\n]+$/g) ?? [] // a byte a character: what is not UTF-8 stays as it is
let [status, answer] = await call(`${url}/sources/${source}/state`)
let state = status === 200 ? answer.accepted : '*'
for (;;) {
  const done = state === '*' ? 0 : Number(state)
  if (!Number.isSafeInteger(done) || done < 0) {
    console.error(`the source's state is no number of lines: '${state}'`)
    process.exit(1)
  }
  const batch = lines.slice(done, done + linesPerBatch)
  if (batch.length === 0) break
  const after = String(done + batch.length)
  ;[status, answer] = await call(`${url}/ingest?sourceName=${source}`, {
    method: 'POST',
    body: Buffer.from(batch.join(''), 'latin1'),
    headers: { 'ODF-If-Source-State': state, 'ODF-Source-State': after },
  })
  if (status === 200 || status === 202) state = after
  else if (status === 412 && answer.accepted) state = answer.accepted // go where the source is
  else {
    console.error(`stopped: ${status} ${answer.message}`)
    process.exit(1)
  }
}
