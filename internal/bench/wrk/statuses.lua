-- Counts the answers by their status.
ok, limited = 0, 0

function response(status)
  if status == 200 then
    ok = ok + 1
  elseif status == 429 then
    limited = limited + 1
  end
end
