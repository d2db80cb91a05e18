"""The bus's Lua scripts: each is atomic, and each decides by the server's clock.

Keys, after the name space (``<p>`` is a partition's number):

====================  ========  ========================================================================
``topics``            hash      topic -> {"partitions", "settings"} as JSON
``t:<topic>:<p>``     stream    fields ``k`` key, ``h`` headers as JSON, ``v`` value; id ``<ms>-<count>``
``end:<topic>``       hash      ``<p>`` -> id of the last message ever written
``kept:<topic>``      hash      ``<p>`` -> how many messages the last compaction left
``groups:<topic>``    sorted    group -> when a member of it was last alive, in ms
``g:<group>:<topic>`` hash      ``o<p>`` owner, ``e<p>`` epoch, ``u<p>`` lease's end in ms, ``c<p>`` cursor,
                                ``h<member>`` the member's host
``m:<group>:<topic>`` sorted    member -> until when it counts as alive, in ms
====================  ========  ========================================================================

The second half of an id counts the messages of its partition, so that the lag is a subtraction.
"""

from backend.adapters.valkey.server import Script

# KEYS: for each partition written to its stream, then its end hash.
# ARGV: for each message the index of its stream in KEYS, the partition, key, headers, value.
# Returns the indexes (from 0) of messages whose partition does not exist.
PUBLISH = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends, missing = {}, {}
for i = 1, #ARGV, 5 do
  local at = tonumber(ARGV[i])
  local last = ends[at]
  if last == nil then
    local text = redis.call('HGET', KEYS[at + 1], ARGV[i + 1])
    last = false
    if text then
      local ms, count = text:match('(%d+)-(%d+)')
      last = {ms = math.max(now, tonumber(ms)), count = tonumber(count), partition = ARGV[i + 1]}
    end
    ends[at] = last
  end
  if last then
    last.count = last.count + 1
    redis.call('XADD', KEYS[at], string.format('%.0f-%.0f', last.ms, last.count),
               'k', ARGV[i + 2], 'h', ARGV[i + 3], 'v', ARGV[i + 4])
  else
    missing[#missing + 1] = (i - 1) / 5
  end
end
for at, last in pairs(ends) do
  if last then
    redis.call('HSET', KEYS[at + 1], last.partition, string.format('%.0f-%.0f', last.ms, last.count))
  end
end
return missing
""")

# KEYS: topics, end. ARGV: topic, its description as JSON, partitions. Returns the partitions that the topic has.
CREATE = Script("""
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then return cjson.decode(known).partitions end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for n = 0, ARGV[3] - 1 do redis.call('HSETNX', KEYS[2], n, '0-0') end
return tonumber(ARGV[3])
""")

# KEYS: topics, end. ARGV: topic, its description as it was read, the new one, its partitions.
# Returns 1, or 0 where another changed it in between.
ALTER = Script("""
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
for n = 0, ARGV[4] - 1 do redis.call('HSETNX', KEYS[2], n, '0-0') end
return 1
""")

# KEYS: stream. ARGV: cursor, how many. Returns id and key of each message after the cursor, without what is in it.
KEYS_OF = Script("""
local found = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])) do
  found[#found + 1] = entry[1]
  found[#found + 1] = entry[2][2]
end
return found
""")

# KEYS: topics, groups. ARGV: topic, name space.
DELETE = Script("""
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then return 0 end
local topic, ns = ARGV[1], ARGV[2]
for n = 0, cjson.decode(known).partitions - 1 do redis.call('UNLINK', ns .. ':t:' .. topic .. ':' .. n) end
for _, group in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  redis.call('UNLINK', ns .. ':g:' .. group .. ':' .. topic, ns .. ':m:' .. group .. ':' .. topic)
end
redis.call('UNLINK', KEYS[2], ns .. ':end:' .. topic, ns .. ':kept:' .. topic)
return redis.call('HDEL', KEYS[1], topic)
""")

# KEYS: group's hash, members, groups of the topic. ARGV: member, group, lease in ms, partitions, channel to tell, host,
# then partition and epoch of each lease held, those about to be given back last.
# Returns {lost, to give back, taken as [partition, epoch, cursor], members}.
BALANCE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me, ttl, count = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZADD', KEYS[3], now, ARGV[2])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('ZREM', KEYS[2], gone)
  redis.call('HDEL', KEYS[1], 'h' .. gone)
end
-- Nobody is alive for longer than a lease from now: the clock was put back, and all terms begin again.
local late = now + ttl + 1000
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. late, '+inf')) do
  redis.call('ZADD', KEYS[2], now + ttl, member)
  for n = 0, count - 1 do
    local till = redis.call('HGET', KEYS[1], 'u' .. n)
    if till and tonumber(till) > late then redis.call('HSET', KEYS[1], 'u' .. n, now + ttl) end
  end
end
if redis.call('ZADD', KEYS[2], now + ttl, me) == 1 then redis.call('PUBLISH', ARGV[5], me) end
redis.call('HSET', KEYS[1], 'h' .. me, ARGV[6])
local members = redis.call('ZRANGE', KEYS[2], 0, -1)
table.sort(members)
local rank = 0
for i, member in ipairs(members) do if member == me then rank = i end end
local held, mine, lost = {}, {}, {}
for i = 7, #ARGV, 2 do
  local n = ARGV[i]
  local state = redis.call('HMGET', KEYS[1], 'o' .. n, 'e' .. n)
  if state[1] == me and state[2] == ARGV[i + 1] then
    redis.call('HSET', KEYS[1], 'u' .. n, now + ttl)
    held[n] = true
    mine[#mine + 1] = tonumber(n)
  else
    lost[#lost + 1] = tonumber(n)
  end
end
local share = math.floor(count / #members) + (rank <= count % #members and 1 or 0)
local give, take = {}, {}
for i = share + 1, #mine do give[#give + 1] = mine[i] end
local room = share - #mine
for n = 0, count - 1 do
  if room <= 0 then break end
  local state = redis.call('HMGET', KEYS[1], 'o' .. n, 'u' .. n, 'e' .. n, 'c' .. n)
  local free = not state[1] or state[1] == '' or state[1] == me or tonumber(state[2]) <= now
  if free and not held[tostring(n)] then
    local epoch = tonumber(state[3] or 0) + 1
    redis.call('HSET', KEYS[1], 'o' .. n, me, 'e' .. n, epoch, 'u' .. n, now + ttl)
    take[#take + 1] = {n, epoch, state[4] or '0-0'}
    room = room - 1
  end
end
return {lost, give, take, #members}
""")

# KEYS: group's hash, members. ARGV: member, 1 to leave the group or 0, channel to tell, then partition and epoch of
# each.
RELEASE = Script("""
local me = ARGV[1]
for i = 4, #ARGV, 2 do
  local n = ARGV[i]
  local state = redis.call('HMGET', KEYS[1], 'o' .. n, 'e' .. n)
  if state[1] == me and state[2] == ARGV[i + 1] then redis.call('HSET', KEYS[1], 'o' .. n, '', 'u' .. n, 0) end
end
if ARGV[2] == '1' then
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[1], 'h' .. me)
end
redis.call('PUBLISH', ARGV[3], me)
""")

# KEYS: group's hash of each topic. ARGV: member, then for each partition the index of its hash, number, epoch, cursor.
# Returns the indexes (from 0) of those that another owns.
COMMIT = Script("""
local fenced = {}
for i = 2, #ARGV, 4 do
  local key, n = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  local state = redis.call('HMGET', key, 'o' .. n, 'e' .. n)
  if state[1] == ARGV[1] and state[2] == ARGV[i + 2] then
    redis.call('HSET', key, 'c' .. n, ARGV[i + 3])
  else
    fenced[#fenced + 1] = (i - 2) / 4
  end
end
return fenced
""")

# KEYS: groups of the topic, end. ARGV: name space, topic, partitions, age kept in ms, messages kept for each partition.
# Deletes what is too old or too much, but only what every group has done. A group that nobody was alive in for as long
# as messages are kept holds nothing back any more: it would fill the memory for ever. Returns how many were deleted.
TRIM = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ns, topic = ARGV[1], ARGV[2]
local groups = redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[4], '+inf')
local deleted = 0
for n = 0, ARGV[3] - 1 do
  local stream = ns .. ':t:' .. topic .. ':' .. n
  local written = tonumber((redis.call('HGET', KEYS[2], n) or '0-0'):match('-(%d+)'))
  local done, bound_ms, bound_count = written, math.max(0, now - ARGV[4]), 0
  for _, group in ipairs(groups) do
    local cursor = redis.call('HGET', ns .. ':g:' .. group .. ':' .. topic, 'c' .. n) or '0-0'
    local ms, count = cursor:match('(%d+)-(%d+)')
    ms, count = tonumber(ms), tonumber(count)
    done = math.min(done, count)
    if ms < bound_ms or (ms == bound_ms and count + 1 < bound_count) then bound_ms, bound_count = ms, count + 1 end
  end
  deleted = deleted + redis.call('XTRIM', stream, 'MAXLEN', math.max(tonumber(ARGV[5]), written - done))
  deleted = deleted + redis.call('XTRIM', stream, 'MINID', string.format('%.0f-%.0f', bound_ms, bound_count))
end
return deleted
""")
