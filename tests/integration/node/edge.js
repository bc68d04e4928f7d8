// A client of the edge in Node, with zeromq and protobufjs alone, as proto/README.md says: an order
// is placed and followed to its rating; while the edge is down events are said, and replay heals
// the gap; a key that is not granted is refused.  test_languages.py starts it, and is told by lines
// of JSON on standard output what to do next.
//
//     node edge.js '{"port":5670,"server":"…","public":"…","secret":"…","proto":"…","shard":110105}'
'use strict';

const readline = require('node:readline');
const zmq = require('zeromq');
const protobuf = require('protobufjs');

const given = JSON.parse(process.argv[2]);
const root = new protobuf.Root();
root.resolvePath = (_, target) => `${given.proto}/${target}`;
root.loadSync('paidan/v1/edge.proto', { keepCase: true });
const [Command, Reply, Event, EdgeTip, EdgeRequest, EdgeReply] =
  ['Command', 'Reply', 'Event', 'EdgeTip', 'EdgeRequest', 'EdgeReply'].map(
    (name) => root.lookupType(`paidan.v1.${name}`));

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = async () => JSON.parse((await lines.next()).value);

function connect(kind, offset, more = {}) {
  return kind({
    curveServerKey: given.server, curvePublicKey: given.public, curveSecretKey: given.secret,
    linger: 0, reconnectInterval: 50, ...more,
  }, `tcp://127.0.0.1:${given.port + offset}`);
}

const made = (Kind) => (options, endpoint) => {
  const socket = new Kind(options);
  socket.connect(endpoint);
  return socket;
};

// One question at a time; asked again when its connection was lost.
class Asker {
  constructor(offset, Type) {
    this.socket = connect(made(zmq.Dealer), offset, { receiveTimeout: 1000 });
    this.Type = Type;
    this.request = 0;
  }

  async ask(bytesOf) {
    const request = ++this.request;
    for (let tries = 0; tries < 20; tries++) {
      await this.socket.send(bytesOf(request));
      try {
        for (;;) {
          const [data] = await this.socket.receive();
          const reply = this.Type.decode(data);
          if (Number(reply.request) !== request) continue;
          if (reply.refusal && reply.refusal.code === 8) break; // not now
          if (reply.refusal) throw new Error(`${reply.refusal.field}: ${reply.refusal.rule}`);
          return reply;
        }
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
      }
    }
    throw new Error('no reply from the edge');
  }
}

// Every event of the district once and in order: live, or by replay where one is missing.
class Follower {
  constructor() {
    this.next = {};
    this.events = [];
    this.healed = 0;
    this.wanted = null;
    this.replays = new Asker(2, EdgeReply);
    this.socket = connect(made(zmq.Subscriber), 0);
    this.socket.subscribe(String(given.shard));
  }

  keep(event) {
    if (Number(event.seq) !== this.next[event.log]) return;
    this.next[event.log]++;
    this.events.push(event);
  }

  async heal(log, upto) {
    while (this.next[log] <= upto) {
      const { batch } = await this.replays.ask((request) => EdgeRequest.encode({
        request, replay: { shard: given.shard, log, from_seq: this.next[log] },
      }).finish());
      batch.events.forEach((event) => this.keep(event));
      this.healed += batch.events.length;
      if (Number(batch.next_seq) !== this.next[log]) throw new Error('a replay left a hole');
    }
  }

  async take(topic, data) {
    if (topic.toString().endsWith('/tip')) {
      for (const tip of EdgeTip.decode(data).logs) {
        this.next[tip.log] ??= Number(tip.last_seq) + 1;
        await this.heal(tip.log, Number(tip.last_seq));
      }
      return;
    }
    const event = Event.decode(data);
    if (!(event.log in this.next)) return;
    await this.heal(event.log, Number(event.seq) - 1);
    this.keep(event);
  }

  async run() {
    for await (const [topic, data] of this.socket) {
      await this.take(topic, data);
      this.wake?.();
    }
  }

  async wait(kind, found, seconds = 20) {
    const until = Date.now() + seconds * 1000;
    for (;;) {
      const event = this.events.find((one) => one[kind] && found(one[kind]));
      if (event) return event;
      if (Date.now() > until) throw new Error(`no ${kind}`);
      await new Promise((resolve) => { this.wake = resolve; setTimeout(resolve, 200); });
    }
  }
}

const commands = new Asker(1, Reply);
const command = async (actor, body, seen) => (await commands.ask((request) => Command.encode({
  shard: given.shard, key: commandKey(request), request, actor, seen, ...body,
}).finish())).ack;
const commandKey = (request) => `node-${process.pid}-${request}`;
const positionOf = (event) => ({ log: event.log, seq: event.seq });

function anOrder(requester) {
  const now = Date.now();
  return {
    place_order: {
      requester, kind: 1, category: 'elder_escort', note: '陪诊', need: 1, minutes: 60,
      point: { datum: 1, lon_e7: 1164400000, lat_e7: 399200000 }, skills: [given.skill],
      window_start_ms: now + 3600000, window_end_ms: now + 5 * 3600000, urgency: 2, channel: 1,
    },
  };
}

async function toItsRating(follower) {
  const { person } = await command(Buffer.alloc(0), { register_resident: { name: '居民' } });
  const ack = await command(person, anOrder(person));
  const mine = (body) => String(body.order) === String(ack.id);
  const offer = await follower.wait('offer_made', mine);
  const helper = offer.offer_made.volunteer;
  const accept = { answer_offer: { offer: offer.offer_made.offer, accept: true } };
  await command(helper, accept, positionOf(offer));
  const filled = await follower.wait('slot_filled', mine);
  const { slot } = filled.slot_filled;
  await command(helper, { start_service: { order: ack.id, slot } }, positionOf(filled));
  await command(helper, { finish_service: { order: ack.id, slot } });
  await follower.wait('order_served', mine);
  await command(person, { confirm_service: { order: ack.id } });
  await follower.wait('service_confirmed', mine);
  await command(person, { rate_order: { order: ack.id, stars: 5 } });
  const rated = await follower.wait('order_rated', mine);
  say({ rated: String(ack.id), stars: rated.order_rated.stars });
}

// The edge is killed, and orders are placed behind it: what was said meanwhile comes by replay.
async function throughAGap(follower) {
  say({ kill: true });
  const { orders } = await told();
  for (const order of orders) {
    await follower.wait('order_placed', (body) => String(body.order) === String(order));
  }
  const seqs = {};
  for (const event of follower.events) (seqs[event.log] ??= []).push(Number(event.seq));
  for (const [log, all] of Object.entries(seqs)) {
    all.forEach((seq, at) => {
      if (seq !== all[0] + at) throw new Error(`log ${log}: ${all[0] + at} is missing`);
    });
  }
  say({ healed: follower.healed, heard: follower.events.length });
}

async function refused() {
  const { publicKey, secretKey } = zmq.curveKeyPair();
  const socket = new zmq.Dealer({
    curveServerKey: given.server, curvePublicKey: publicKey, curveSecretKey: secretKey, linger: 0,
  });
  const seen = new Promise((resolve) => {
    socket.events.on('handshake:error:auth', ({ error }) => resolve(error.message));
    setTimeout(() => resolve(null), 5000);
  });
  socket.connect(`tcp://127.0.0.1:${given.port + 2}`);
  say({ refused: await seen });
  socket.close();
}

async function main() {
  const follower = new Follower();
  const running = follower.run();
  running.catch((error) => { say({ failed: error.stack }); process.exit(1); });
  while (Object.keys(follower.next).length < 5) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await toItsRating(follower);
  await throughAGap(follower);
  await refused();
  say({ done: true });
  process.exit(0);
}

main().catch((error) => { say({ failed: error.stack }); process.exit(1); });
