-- wrk script. Arguments after `--`: STYLE FIRST_NUMBER TOKEN [RECIPIENTS]
-- Every request has its own recipient (FIRST_NUMBER + n). Styles: echo, v3, http (as `curl -d` sends it), query (GET), many, path (GET).
local style, n, token, count
function init(args)
  style, n, token, count = args[1], tonumber(args[2]), args[3] or "", tonumber(args[4] or "1")
  if style == "echo" or style == "v3" or style == "many" then
    wrk.headers["Authorization"] = "Bearer " .. token
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["Accept"] = "application/json"
  elseif style == "http" then
    wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  end
end
local text = "Your verification code is 482913. It is valid for 5 minutes."
function request()
  n = n + 1
  local to = string.format("%.0f", n)
  if style == "query" then
    return wrk.format("GET", "/api/http/sms/send?api_token=" .. token:gsub("|", "%%7C") .. "&recipient=" .. to
      .. "&sender_id=YourName&type=whatsapp&message=" .. text:gsub(" ", "%%20"))
  end
  local rest = '","sender_id":"YourName","type":"whatsapp","message":"' .. text .. '"}'
  if style == "http" then
    return wrk.format("POST", "/api/http/sms/send", nil, '{"api_token":"' .. token .. '","recipient":"' .. to .. rest)
  end
  if style == "many" then
    local list = {to}
    for i = 2, count do n = n + 1; list[i] = string.format("%.0f", n) end
    to = table.concat(list, ",")
  end
  return wrk.format("POST", "/api/v3/sms/send", nil, '{"recipient":"' .. to .. rest)
end
function done(s, l, r)
  io.write(string.format('RESULT {"requests":%d,"duration_us":%d,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
    s.requests, s.duration, s.errors.status, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout,
    l:percentile(50), l:percentile(99), l.max))
end
