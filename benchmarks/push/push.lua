-- Bodies are made before the run: `count` requests of `records` records each, with keys that never repeat.
-- Environment: RECORDS, PAD (bytes of padding a record), COUNT, ASYNC (1: Prefer: respond-async), BASE (first key), THREADS.
local records = tonumber(os.getenv("RECORDS") or "1")
local pad = string.rep("x", tonumber(os.getenv("PAD") or "0"))
local count = tonumber(os.getenv("COUNT") or "100000")
local base = tonumber(os.getenv("BASE") or "0")
local headers = { ["Content-Type"] = "application/x-ndjson" }
if os.getenv("ASYNC") == "1" then headers["Prefer"] = "respond-async" end

local ffi = require("ffi")
ffi.cdef "typedef struct { long seconds; long nanoseconds; } timespec_t; int clock_gettime(int clock, timespec_t *now);"
local function now()
  local time = ffi.new("timespec_t")
  ffi.C.clock_gettime(1, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end

local threads = {}
function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local requests, at, taken, refused = {}, 0, 0, 0
-- wrk counts the time until its own end, also where the bodies were over long before.
begun, ended = 0, 0
function init(_)
  local key = base + number * count * records
  for i = 1, count do
    local lines = {}
    for j = 1, records do
      lines[j] = string.format('{"event_time":"2026-01-01T00:00:00Z","id":%d,"v":2.5,"pad":"%s"}', key, pad)
      key = key + 1
    end
    requests[i] = wrk.format("POST", "/bench/ingest", headers, table.concat(lines, "\n") .. "\n")
  end
end
-- Past the last body the run is over: a repeated one would measure something else.
function request()
  at = at + 1
  if at <= 2 then begun = now() end  -- wrk asks for one before it starts
  if at > count then
    ended = now()
    wrk.thread:stop()
  end
  return requests[math.min(at, count)]
end
function response(status)
  if status < 300 then taken = taken + 1 else refused = refused + 1 end
end
function done(summary, latency, _)
  local t, r = 0, 0
  local first, last = math.huge, 0
  for _, thread in ipairs(threads) do
    t = t + (thread:get("taken") or 0)
    r = r + (thread:get("refused") or 0)
    first = math.min(first, thread:get("begun"))
    last = math.max(last, thread:get("ended"))
  end
  local seconds = summary.duration / 1e6
  if last > 0 then seconds = math.min(seconds, last - first) end
  io.write(string.format("RESULT requests=%d seconds=%.3f p50=%.3f p99=%.3f errors=%d\n", summary.requests,
    seconds, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
