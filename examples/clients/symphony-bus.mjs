// A client of Symphony's message bus for Node 18 or newer, with nothing to install.
//
//     const bus = await connect('/run/user/1000/bus.sock', { name: 'clock' })
//     await bus.publish('time.now', { hour: 12 })
//     for await (const message of await bus.subscribe('build.>')) console.log(message.payload)
import net from 'node:net'
import * as wire from './wire.mjs'

const { BusError, FLAG, KIND, NOTHING, pack, unpack } = wire
const WINDOW = 1024 * 1024 // bytes of messages that may be on their way to a subscription
export { BusError }

/** `name` is unlike any other on the bus. Resolves when the broker has let the endpoint in. */
export async function connect(path, { name, capabilities = [] }) {
  const bus = new Bus(net.connect(path), name)
  await bus.greet({ name, instance: `${process.pid}-${Math.random()}`, capabilities })
  return bus
}

/** A publication, request or answer: `body` is its bytes, `payload` what its sender has meant. */
class Message {
  constructor(frame) {
    Object.assign(this, frame)
  }

  get payload() {
    if (this.flags & FLAG.ENVELOPE) return wire.open(this.flags, this.body).payload
    return this.flags & FLAG.JSON ? wire.parseJson(this.body) : this.body
  }
}

/** It does not reconnect: when the connection ends, all that is open ends with a BusError. */
class Bus {
  #parser = new wire.FrameParser()
  #correlation = 0n // the last
  #asked = new Map() // by correlation: what waits for an answer
  #inboxes = new Map() // by correlation: where a subscription's messages go
  #inbox // of the subscription that PUB frames are for
  #served = new Map() // by correlation: the steps of a pattern, and what answers
  #answering = new Map() // by asker and correlation: what aborts the work on a request
  #frames = 0 // that may be published, and bytes of them
  #bytes = 0
  #publishers = [] // that wait for credit
  #failure // why the connection has ended

  constructor(socket, name) {
    Object.assign(this, { socket, name, source: 0 })
    socket.on('data', (data) => this.#receive(data))
    socket.on('error', (error) => this.#end(new BusError('ipc.connection_lost', error.message)))
    socket.on('close', () => this.#end(new BusError('ipc.connection_lost', 'It was closed.')))
  }

  greet(greeting) {
    const body = pack({ ...greeting, max_frame: this.#parser.limit })
    return this.#ask(0n, { kind: KIND.HELLO, body })
  }

  /** Waits for credit, that is for the slowest subscriber whose policy is `block`. */
  async publish(topic, payload = NOTHING) {
    const frame = { kind: KIND.PUB, topic, ...this.#sealed(payload) }
    while (!this.#failure && (this.#frames <= 0 || this.#bytes <= 0)) {
      await new Promise((wake) => this.#publishers.push(wake))
    }
    this.#bytes -= this.#send(frame)
    this.#frames -= 1
  }

  /** `timeout` is in milliseconds; `signal` cancels. After either the responder is told. */
  async request(topic, payload = NOTHING, { timeout = 30_000, signal } = {}) {
    signal?.throwIfAborted()
    const { flags, body } = this.#sealed(payload), correlation = this.#next()
    const giveUp = (error) => {
      if (this.#settle(correlation, 'reject', error)) this.#send({ kind: KIND.CANCEL, correlation })
    }
    const cancelled = () => giveUp(signal.reason)
    signal?.addEventListener('abort', cancelled)
    const late = new BusError('ipc.timeout', `No answer to ${topic} came in time.`)
    const timer = setTimeout(giveUp, timeout, late)
    const frame = { kind: KIND.REQ, flags: flags | FLAG.DEADLINE, deadline: timeout, topic, body }
    try {
      return new Message(await this.#ask(correlation, frame))
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', cancelled)
    }
  }

  /** Resolves to what `for await` takes messages from; leaving the loop ends the subscription.
   * At most `credit` messages come before the loop has dealt with some. The other options are
   * those of SUB: policy, group, filter, after, epoch, durable. */
  async subscribe(pattern, { credit = 256, ...wish } = {}) {
    const id = this.#next()
    const body = pack({ credit_frames: credit, credit_bytes: WINDOW, ...wish })
    const messages = new ReadableStream({ start: (inbox) => { this.#inboxes.set(id, inbox) } })
    await this.#ask(id, { kind: KIND.SUB, topic: pattern, body })
    return this.#dealtWith(id, messages, credit, wish.durable)
  }

  async *#dealtWith(id, messages, credit, durable) {
    let frames = 0, bytes = 0
    try {
      for await (const message of messages) {
        if (message instanceof Error) throw message
        yield message
        frames += 1
        bytes += message.size
        const due = durable || frames * 2 >= credit || bytes * 2 >= WINDOW
        if (due && !this.#failure) {
          const { sequence } = message, flags = durable ? FLAG.SEQUENCE : 0
          const body = wire.packCredit(frames, bytes)
          this.#send({ kind: KIND.CREDIT, correlation: id, flags, sequence, body })
          frames = bytes = 0
        }
      }
    } finally {
      this.#inboxes.delete(id)
      if (!this.#failure) this.#send({ kind: KIND.UNSUB, correlation: id })
    }
  }

  /** What `answer(request, signal)` returns or resolves to is the reply; what it throws reaches
   * the asker. `signal` aborts when nobody waits any more. Resolves to what ends it. */
  async serve(pattern, answer, { priority = 0 } = {}) {
    const id = this.#next()
    this.#served.set(id, { steps: pattern.split('.'), answer })
    await this.#ask(id, { kind: KIND.SERVE, topic: pattern, body: pack({ priority }) })
    return async () => {
      await this.#ask(id, { kind: KIND.UNSERVE })
      this.#served.delete(id)
    }
  }

  ping() {
    return this.#ask(this.#next(), { kind: KIND.PING })
  }

  /** All that was sent before goes out before. */
  close() {
    if (!this.#failure) this.#send({ kind: KIND.BYE })
    this.#end(new BusError('ipc.closed', 'The bus was left.'))
  }

  #next() {
    return (this.#correlation += 1n)
  }

  /** Bytes travel as they are, anything else in an envelope. */
  #sealed(payload) {
    if (payload instanceof Uint8Array) return { flags: 0, body: payload }
    const id = `${this.name}-${Date.now()}-${Math.random()}`
    const body = wire.seal({ id, ts: Date.now() / 1000, source: this.name, payload })
    return { flags: FLAG.ENVELOPE, body }
  }

  #send(frame) {
    if (this.#failure) throw this.#failure
    const data = wire.encodeFrame({ source: this.source, ...frame })
    if (data.length > this.#parser.limit) {
      throw new BusError('ipc.frame_too_large', `A frame of ${data.length} bytes.`)
    }
    this.socket.cork() // what is sent in one turn leaves in one write
    process.nextTick(() => this.socket.uncork())
    this.socket.write(data)
    return data.length
  }

  #ask(correlation, frame) {
    return new Promise((resolve, reject) => {
      this.#asked.set(correlation, { resolve, reject })
      this.#send({ correlation, ...frame })
    })
  }

  #settle(correlation, how, value) {
    this.#asked.get(correlation)?.[how](value)
    return this.#asked.delete(correlation)
  }

  #receive(data) {
    try {
      for (const frame of this.#parser.feed(data)) this.#take[frame.kind](frame)
    } catch (error) {
      this.#end(error)
    }
  }

  #take = {
    [KIND.WELCOME]: ({ body }) => this.#welcome(unpack(body)),
    [KIND.FOR]: ({ correlation }) => { this.#inbox = this.#inboxes.get(correlation) },
    [KIND.PUB]: (frame) => this.#inbox?.enqueue(new Message(frame)),
    [KIND.REQ]: (frame) => this.#answer(new Message(frame)),
    [KIND.REP]: (frame) => this.#settle(frame.correlation, 'resolve', frame),
    [KIND.ERR]: ({ correlation, body }) => this.#failed(correlation, errorIn(body)),
    [KIND.CANCEL]: (frame) => this.#answering.get(keyOf(frame))?.abort(),
    [KIND.CREDIT]: ({ body }) => this.#credit(...wire.unpackCredit(body)),
    [KIND.PING]: ({ correlation, body }) => this.#send({ kind: KIND.PONG, correlation, body }),
    [KIND.PONG]: (frame) => this.#settle(frame.correlation, 'resolve', frame),
    [KIND.BYE]: ({ body }) => this.#end(body.length ? errorIn(body) : GOODBYE),
  }

  #welcome({ source, max_frame: limit, credit_frames: frames, credit_bytes: bytes }) {
    this.source = source
    this.#parser.limit = limit
    this.#credit(frames, bytes)
    this.#settle(0n, 'resolve')
  }

  #credit(frames, bytes) {
    this.#frames += frames
    this.#bytes += bytes
    for (const wake of this.#publishers.splice(0)) wake()
  }

  #failed(correlation, error) {
    if (this.#settle(correlation, 'reject', error)) this.#inboxes.delete(correlation)
    else if (this.#inboxes.has(correlation)) this.#inboxes.get(correlation).enqueue(error)
    else process.emitWarning(error) // such as a publication that is not permitted
  }

  async #answer(request) {
    const { source, correlation, topic } = request, work = new AbortController()
    const reply = (frame) => {
      this.#answering.delete(keyOf(request))
      if (!work.signal.aborted) this.#send({ ...frame, source, correlation })
    }
    this.#answering.set(keyOf(request), work)
    try {
      const fits = ({ steps }) => matches(steps, topic.split('.'))
      const { answer } = [...this.#served.values()].find(fits)
      reply({ kind: KIND.REP, ...this.#sealed(await answer(request, work.signal)) })
    } catch ({ code, message }) {
      const record = { code: code ?? 'ipc.handler_failed', message, category: 'extension' }
      reply({ kind: KIND.ERR, topic, body: pack(record) })
    }
  }

  #end(error) {
    this.#failure ??= error
    this.socket.end()
    for (const correlation of this.#asked.keys()) this.#settle(correlation, 'reject', error)
    for (const inbox of this.#inboxes.values()) inbox.enqueue(error)
    for (const work of this.#answering.values()) work.abort()
    this.#credit(0, 0)
  }
}

const GOODBYE = new BusError('ipc.closing', 'The broker has said goodbye.')

const keyOf = ({ source, correlation }) => `${source}/${correlation}`

const errorIn = (body) => {
  const record = unpack(body)
  return new BusError(record.code, record.message, record)
}

/** Whether the names of a topic are what the steps of a pattern stand for. */
function matches([step, ...steps], names) {
  if (step === undefined) return !names.length
  if (step === '#' && matches(steps, names)) return true
  if (!names.length) return false
  if (step === '#') return matches(['#', ...steps], names.slice(1))
  return step === '>' || ((step === '*' || step === names[0]) && matches(steps, names.slice(1)))
}
