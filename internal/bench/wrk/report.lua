-- Prints what was counted in one line, for a program to read.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function done(summary, latency)
  local e, ok, limited = summary.errors, 0, 0
  for _, thread in ipairs(threads) do
    ok = ok + (thread:get("ok") or 0)
    limited = limited + (thread:get("limited") or 0)
  end
  if e.status + e.connect + e.read + e.write + e.timeout > 0 then
    io.write(string.format("ERRORS %d by status, %d connecting, %d reading, %d writing, %d in time\n", e.status, e.connect, e.read, e.write, e.timeout))
  end
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d\n", summary.requests, e.status + e.connect + e.read + e.write + e.timeout, summary.bytes, summary.duration,
    latency:percentile(50), latency:percentile(99), ok, limited))
end
