// What travels on Symphony's message bus: frames, MessagePack, envelopes, after docs/protocol.md.
// Node 18 or newer, nothing to install. vectors.mjs holds this file against tests/vectors.

export const KIND = {
  HELLO: 1, WELCOME: 2, SUB: 3, UNSUB: 4, PUB: 5, SERVE: 6, UNSERVE: 7, REQ: 8, REP: 9, ERR: 10,
  CANCEL: 11, CREDIT: 12, PING: 13, PONG: 14, DRAIN: 15, BYE: 16, FOR: 17,
}
export const FLAG = { ENVELOPE: 1, DEADLINE: 2, SEQUENCE: 4, SHARED: 16, JSON: 32, COMPACT: 64 }
export const NOTHING = Buffer.alloc(0)
const RESERVED = 0x88, HEADER = 20, MAX_FRAME = 16 * 1024 * 1024
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What went wrong: `code` says it to programs, `record` is all that the other side has said. */
export class BusError extends Error {
  constructor(code, message, record = {}) {
    super(message)
    Object.assign(this, { code, record })
  }
}

const wordsSize = (flags) => (flags & FLAG.DEADLINE ? 4 : 0) + (flags & FLAG.SEQUENCE ? 8 : 0)

/** `correlation` and `sequence` are BigInt: a Number cannot hold 64 bits. */
export function encodeFrame({ kind, flags = 0, source = 0, correlation = 0n, deadline = 0,
  sequence = 0n, topic = '', body = NOTHING }) {
  const text = Buffer.from(topic), head = Buffer.alloc(HEADER + wordsSize(flags))
  head.writeUInt32LE(head.length + text.length + body.length, 0)
  head.writeUInt8(kind, 4)
  head.writeUInt8(flags, 5)
  head.writeUInt16LE(text.length, 6)
  head.writeUInt32LE(source, 8)
  head.writeBigUInt64LE(correlation, 12)
  if (flags & FLAG.DEADLINE) head.writeUInt32LE(deadline, HEADER)
  if (flags & FLAG.SEQUENCE) head.writeBigUInt64LE(sequence, head.length - 8)
  return Buffer.concat([head, text, body])
}

/** Bytes in, frames out, however the bytes were cut. After an error it is of no more use. */
export class FrameParser {
  limit = MAX_FRAME
  #parts = []
  #missing = HEADER

  #size(data) {
    const size = data.readUInt32LE(0), kind = data[4], flags = data[5]
    if (size > this.limit) throw new BusError('ipc.frame_too_large', `A frame of ${size} bytes.`)
    const least = HEADER + wordsSize(flags) + data.readUInt16LE(6)
    if (kind >= 1 && kind <= KIND.FOR && !(flags & RESERVED) && size >= least) return size
    throw new BusError('ipc.bad_frame', `No frame begins ${data.toString('hex', 0, HEADER)}.`)
  }

  *feed(data) {
    this.#parts.push(data)
    this.#missing -= data.length
    if (this.#missing > 0) return
    let rest = Buffer.concat(this.#parts)
    while (rest.length >= HEADER && rest.length >= this.#size(rest)) {
      const size = this.#size(rest)
      yield decodeFrame(rest.subarray(0, size))
      rest = rest.subarray(size)
    }
    this.#parts = [rest]
    this.#missing = (rest.length < HEADER ? HEADER : this.#size(rest)) - rest.length
  }
}

function decodeFrame(data) {
  const flags = data[5], start = HEADER + wordsSize(flags), end = start + data.readUInt16LE(6)
  return {
    kind: data[4],
    flags,
    source: data.readUInt32LE(8),
    correlation: data.readBigUInt64LE(12),
    deadline: flags & FLAG.DEADLINE ? data.readUInt32LE(HEADER) : 0,
    sequence: flags & FLAG.SEQUENCE ? data.readBigUInt64LE(start - 8) : 0n,
    topic: asError('ipc.bad_frame', () => utf8.decode(data.subarray(start, end))),
    body: data.subarray(end),
    size: data.length,
  }
}

/** The body of CREDIT: so many more frames, and bytes of them, may come. */
export function packCredit(frames, bytes) {
  const body = Buffer.alloc(12)
  body.writeUInt32LE(frames, 0)
  body.writeBigUInt64LE(BigInt(bytes), 4)
  return body
}

export const unpackCredit = (body) => [body.readUInt32LE(0), Number(body.readBigUInt64LE(4))]

function asError(code, read) {
  try {
    return read()
  } catch (error) {
    throw new BusError(code, `This cannot be read: ${error.message}.`)
  }
}

/** A number that is written as a float though it may be whole. */
class Float {
  constructor(value) {
    this.value = value
  }
}

/** Plain values as MessagePack, BigInt, Map and Uint8Array included. */
export function pack(value) {
  if (value === null || value === undefined) return Buffer.of(0xc0)
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2)
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return packWhole(BigInt(value))
  if (typeof value === 'number') return pack(new Float(value))
  if (typeof value === 'string') {
    return Buffer.concat([sized(Buffer.byteLength(value), 0xa0, 31, 0xd9), Buffer.from(value)])
  }
  if (value instanceof Uint8Array) return Buffer.concat([sized(value.length, 0, -1, 0xc4), value])
  if (value instanceof Float) {
    const out = Buffer.alloc(9, 0xcb)
    out.writeDoubleBE(value.value, 1)
    return out
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const [items, head] = Array.isArray(value)
    ? [value, sized(value.length, 0x90, 15, 0xdb)]
    : [entries.flat(), sized(entries.length, 0x80, 15, 0xdd)]
  return Buffer.concat([head, ...items.map(pack)])
}

function packWhole(number) {
  if (number >= -32n && number < 128n) return Buffer.of(Number(number) & 0xff)
  const least = (bits) => (number < 0n ? number >= -(1n << (bits - 1n)) : number < 1n << bits)
  const width = [1, 2, 4, 8].find((bytes) => least(8n * BigInt(bytes)))
  const out = Buffer.alloc(9, (number < 0n ? 0xd0 : 0xcc) + Math.log2(width))
  out.writeBigUInt64BE(BigInt.asUintN(64, number << BigInt(64 - 8 * width)), 1)
  return out.subarray(0, 1 + width)
}

/** What precedes so many bytes or items: a mark with the size in it if that is not above `most`,
 * else one of three marks in a row, with a size of 1, 2 or 4 bytes. Containers have none of 1. */
function sized(size, fixed, most, mark) {
  if (size <= most) return Buffer.of(fixed | size)
  const step = size < 0x100 && most !== 15 ? 0 : size < 0x10000 ? 1 : 2
  const out = Buffer.alloc(1 + (1 << step), mark + step)
  out.writeUIntBE(size, 1, 1 << step)
  return out
}

/** The value in MessagePack bytes. Whole numbers beyond what a Number can hold become BigInt. */
export const unpack = (data) => asError('ipc.message_invalid', () => {
  const reader = new Reader(data)
  const value = reader.value()
  if (reader.at < data.length) throw new RangeError('something follows it')
  return value
})

class Reader {
  at = 0

  constructor(data) {
    this.data = data
  }

  take(size) {
    if (this.at + size > this.data.length) throw new RangeError('it ends too soon')
    return this.data.subarray(this.at, (this.at += size))
  }

  whole(width, signed) {
    const shift = BigInt(64 - 8 * width), padded = Buffer.alloc(8)
    this.take(width).copy(padded)
    const number = signed ? padded.readBigInt64BE() : padded.readBigUInt64BE()
    const value = number >> shift
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }

  items(count) {
    const items = []
    while (items.length < count) items.push(this.value())
    return items
  }

  map(count) {
    const entries = []
    while (entries.length < count) entries.push([this.value(), this.value()])
    const texts = entries.every(([key]) => typeof key === 'string')
    return texts ? Object.fromEntries(entries) : new Map(entries)
  }

  value() {
    const mark = this.take(1)[0]
    if (mark < 0x80) return mark
    if (mark < 0x90) return this.map(mark & 15)
    if (mark < 0xa0) return this.items(mark & 15)
    if (mark < 0xc0) return utf8.decode(this.take(mark & 31))
    if (mark >= 0xe0) return mark - 0x100
    if (mark === 0xc0) return null
    if (mark === 0xc2 || mark === 0xc3) return mark === 0xc3
    if (mark >= 0xc4 && mark <= 0xc6) return this.take(this.whole(1 << (mark - 0xc4)))
    if (mark === 0xca) return this.take(4).readFloatBE()
    if (mark === 0xcb) return this.take(8).readDoubleBE()
    if (mark >= 0xcc && mark <= 0xcf) return this.whole(1 << (mark - 0xcc))
    if (mark >= 0xd0 && mark <= 0xd3) return this.whole(1 << (mark - 0xd0), true)
    if (mark >= 0xd9 && mark <= 0xdb) return utf8.decode(this.take(this.whole(1 << (mark - 0xd9))))
    if (mark >= 0xdc && mark <= 0xdd) return this.items(this.whole(2 << (mark - 0xdc)))
    if (mark >= 0xde) return this.map(this.whole(2 << (mark - 0xde)))
    throw new RangeError(`0x${mark.toString(16)} is for extensions of MessagePack`)
  }
}

/** The fields of an envelope in their order, with what they are if they are left out. */
const FIELDS = {
  id: '', type: '', version: 1, ts: 0, source: '', target: '', correlation: '', deadline: 0,
  trace: '', meta: {}, payload: undefined,
}

/** The body of a frame that has the flag ENVELOPE, and perhaps JSON or COMPACT. */
export function seal(envelope, flags = FLAG.ENVELOPE) {
  const whole = { ...FIELDS, ...envelope }
  if (flags & FLAG.JSON) return Buffer.from(JSON.stringify(whole))
  const floats = { ts: new Float(whole.ts), deadline: new Float(whole.deadline) }
  return pack(Object.values({ ...whole, ...floats }))
}

/** The envelope in such a body. */
export function open(flags, body) {
  const form = flags & (FLAG.ENVELOPE | FLAG.JSON | FLAG.COMPACT)
  const usual = form & FLAG.COMPACT ? { ...FIELDS, schema: NOTHING } : FIELDS
  const found = form & FLAG.JSON ? fromJson(body) : named(usual, unpack(body))
  const envelope = Object.fromEntries(Object.keys(usual).map((name) => [name, found[name]]))
  const sound = ([name, value]) => value !== undefined
    && (name === 'payload' || typeof value === typeof usual[name])
  const forms = [FLAG.ENVELOPE, FLAG.ENVELOPE | FLAG.JSON, FLAG.ENVELOPE | FLAG.COMPACT]
  if (forms.includes(form) && Object.entries(envelope).every(sound)) return envelope
  throw new BusError('ipc.message_invalid', 'This is no envelope.')
}

export const parseJson = (body) =>
  asError('ipc.message_invalid', () => JSON.parse(utf8.decode(body)))

const fromJson = (body) => ({ ...FIELDS, ...parseJson(body) })

const named = (fields, values) => Object.fromEntries(
  Object.keys(fields).map((name, at) => [name, Array.isArray(values) ? values[at] : undefined]))
