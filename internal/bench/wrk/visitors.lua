-- Each request comes with a cookie that is drawn from a file with one a line.
local requests = {}

function init(args)
  math.randomseed(os.time())
  for line in io.lines(args[1]) do
    local headers = { Cookie = line }
    for name, value in pairs(wrk.headers) do
      if name ~= "Cookie" then headers[name] = value end
    end
    requests[#requests + 1] = wrk.format(nil, nil, headers)
  end
end

function request()
  return requests[math.random(#requests)]
end
