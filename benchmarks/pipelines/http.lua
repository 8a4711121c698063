-- Single records of about 450 bytes with keys that never repeat. Environment: BASE (first key).
local base = tonumber(os.getenv("BASE") or "0")
local headers = { ["Content-Type"] = "application/json" }
local text = string.rep("lorem ipsum ", 20)
local threads = {}
function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end
local at = 0
taken, refused = 0, 0  -- global: asked for by thread:get
function request()
  at = at + 1
  local key = base + number * 100000000 + at
  return wrk.format("POST", "/ingest", headers, string.format(
    '{"uuid":"01920000-0000-7000-8000-%012x","source_type":"discourse","source_id":"forum-1","data":"%s","data_id":"%d",' ..
    '"metadata":{"likes":7,"tags":["a","b"]},"metadata_type":"post","lang":"en","tenant_id":"tenant-1",' ..
    '"created_at":"2024-05-01T10:00:00Z","updated_at":"2024-05-02T10:00:00Z"}', key, text, key))
end
function response(status)
  if status == 200 then taken = taken + 1 else refused = refused + 1 end
end
function done(summary, latency, _)
  local t, r = 0, 0
  for _, thread in ipairs(threads) do
    t = t + (thread:get("taken") or 0)
    r = r + (thread:get("refused") or 0)
  end
  print(string.format("RESULT %d %d %.6f %.3f", t, r, summary.duration / 1e6, latency:percentile(99) / 1000))
end
