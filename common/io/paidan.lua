#!lua name=paidan
-- The Redis half of common/io/store.h: the commit of one entry, and the end of a log.
--
--   log stream  {<shard>}:log:<name>   id <last_seq>-0, fields e = bytes, h = hash, p = epoch
--   tip hash    {<shard>}:tip:<name>   s = last seq, h = hash, e = epoch of the stream's last entry
--   lease hash  {<shard>}:lease:<name> n = name of who holds it, a = its endpoint, p = its epoch; gone when not renewed;
--                                      w, c = name of who waits for it, and how many others it holds
--
-- A Function that fails half-way keeps its earlier writes, so a commit is: every check, HSET of the tip, exactly one
-- XADD by pcall, and nothing after it; when XADD errs, the tip is put back.

local VERSION = '2'
local ZEROS = ('\0'):rep(32)

local function field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
  return nil
end

-- Last seq, hash and epoch (texts) as the stream itself has them.
local function stream_tail(log)
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if not last then return '0', ZEROS, '0' end
  return string.match(last[1], '^(%d+)-'), field(last, 'h') or ZEROS, field(last, 'p') or '0'
end

local function read_tip(tip)
  local t = redis.call('HMGET', tip, 's', 'h', 'e')
  if t[1] and t[2] and t[3] then return t[1], t[2], t[3] end
  return nil
end

local function write_tip(tip, seq, hash, epoch)
  if seq == '0' then
    redis.call('DEL', tip)
  else
    redis.call('HSET', tip, 's', seq, 'h', hash, 'e', epoch)
  end
end

local function valid(args)
  for i = 1, 3 do
    if not args[i] or not string.match(args[i], '^%d+$') or #args[i] > 15 then return false end
  end
  return #args == 6 and #args[4] == 32 and #args[5] == 32 and #args[6] > 0
    and tonumber(args[2]) > 0 and tonumber(args[2]) <= tonumber(args[3])
end

-- keys: log, tip; args: epoch, first seq, last seq, previous hash, hash, bytes.
-- {'ok'} | {'dup'} | {'fence', seq, hash, epoch of the tip}
local function commit(keys, args)
  if #keys ~= 2 or not valid(args) then return redis.error_reply('ERR paidan_commit: bad arguments') end
  local log, tip = keys[1], keys[2]
  local epoch, first, last, prev, hash, bytes = unpack(args)
  local seq0, hash0, epoch0 = read_tip(tip)
  local torn = not seq0
  if torn then seq0, hash0, epoch0 = stream_tail(log) end
  if seq0 == last and hash0 == hash then return {'dup'} end
  if tonumber(seq0) + 1 ~= tonumber(first) or hash0 ~= prev or tonumber(epoch) < tonumber(epoch0) then
    return {'fence', seq0, hash0, epoch0}
  end
  redis.call('HSET', tip, 's', last, 'h', hash, 'e', epoch)
  local added = redis.pcall('XADD', log, last .. '-0', 'e', bytes, 'h', hash, 'p', epoch)
  if type(added) == 'table' and added.err then
    write_tip(tip, seq0, hash0, epoch0)
    return added
  end
  return {'ok'}
end

-- keys: log.  {seq, hash, epoch} of the stream.
local function tail(keys)
  local seq, hash, epoch = stream_tail(keys[1])
  return {seq, hash, epoch}
end

-- keys: log, tip.  The same; the tip is made to agree: the stream wins.  It is written in any case: WAIT counts the
-- replicas that have what its connection wrote, and so this tail.
local function boot(keys)
  local seq, hash, epoch = stream_tail(keys[1])
  write_tip(keys[2], seq, hash, epoch)
  return {seq, hash, epoch}
end

-- keys: lease; args: verb (take, wait, look, free), name, endpoint, epoch, ms to live, leases that it holds.
-- {'held', name of who waits or '', how many it holds} | {'other', name, endpoint, epoch, ms left} | {'nobody'}
local function lease(keys, args)
  if #keys ~= 1 or #args ~= 6 then return redis.error_reply('ERR paidan_lease: bad arguments') end
  local key, verb, name, endpoint, epoch, ttl, holds = keys[1], unpack(args)
  local held = redis.call('HMGET', key, 'n', 'a', 'p', 'w', 'c')
  local ours = held[1] == name
  if verb == 'free' and ours then redis.call('DEL', key) end
  if verb == 'free' or (not held[1] and verb ~= 'take') then return {'nobody'} end
  if held[1] and not ours then
    if verb ~= 'look' then redis.call('HSET', key, 'w', name, 'c', holds) end
    return {'other', held[1], held[2], held[3], tostring(redis.call('PTTL', key))}
  end
  if verb == 'take' then
    redis.call('HSET', key, 'n', name, 'a', endpoint, 'p', epoch)
    redis.call('HDEL', key, 'w', 'c')
    redis.call('PEXPIRE', key, ttl)
  end
  return {'held', held[4] or '', held[5] or '0'}
end

-- keys: leases.  For each {name, endpoint, epoch, ms left}, or {} when nobody holds it.
local function leases(keys)
  local all = {}
  for i, key in ipairs(keys) do
    local held = redis.call('HMGET', key, 'n', 'a', 'p')
    all[i] = held[1] and {held[1], held[2], held[3], tostring(redis.call('PTTL', key))} or {}
  end
  return all
end

redis.register_function('paidan_commit', commit)
redis.register_function{function_name = 'paidan_lease', callback = lease, flags = {'allow-oom'}}
redis.register_function{function_name = 'paidan_leases', callback = leases, flags = {'no-writes', 'allow-oom'}}
redis.register_function('paidan_boot', boot)
redis.register_function{function_name = 'paidan_tail', callback = tail, flags = {'no-writes', 'allow-oom'}}
redis.register_function{function_name = 'paidan_version', callback = function() return VERSION end,
                        flags = {'no-writes', 'allow-oom'}}
