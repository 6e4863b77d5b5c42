// Holds the client against the vectors of the protocol: node vectors.mjs [folder of the vectors]
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { FLAG, FrameParser, KIND, encodeFrame, open, seal } from './wire.mjs'

const folder = process.argv[2] ?? new URL('../../tests/vectors/', import.meta.url).pathname
const flagsOf = (names) => names.reduce((flags, name) => flags | FLAG[name.toUpperCase()], 0)
const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** A Number would round the large numbers in the vectors. */
function load(file) {
  const text = readFileSync(`${folder}/${file}`, 'utf8')
  const quoted = text.replace(/([[:,]\s*)(-?\d{16,})(?=[,\]}])/g, '$1{"$whole": "$2"}')
  return JSON.parse(quoted, (_, value) => (value?.$whole ? BigInt(value.$whole) : value))
}

/** What the vectors write as {"bytes": hex} is bytes. */
const spelled = (value) => JSON.parse(JSON.stringify(value, (_, each) =>
  each?.type === 'Buffer' ? { bytes: Buffer.from(each.data).toString('hex') } : each))

let checked = 0
function check(name, test) {
  try {
    test()
    checked += 1
  } catch (error) {
    throw new Error(`${name}: ${error.message}`)
  }
}

const refuses = (code, read) => assert.throws(read, (error) => error.code === code)

const { frames, streams, refused } = load('frames.json')
const framesOf = Object.fromEntries(frames.map((vector) => [vector.name, {
  kind: KIND[vector.kind],
  flags: flagsOf(vector.flags),
  source: vector.source,
  correlation: BigInt(vector.correlation),
  deadline: vector.deadline_ms,
  sequence: BigInt(vector.sequence),
  topic: vector.topic,
  body: hex(vector.body),
  size: hex(vector.hex).length,
}]))
for (const { name, hex: bytes } of frames) {
  check(`written: ${name}`, () => assert.deepEqual(encodeFrame(framesOf[name]), hex(bytes)))
  check(`read: ${name}`, () => {
    assert.deepEqual([...new FrameParser().feed(hex(bytes))], [framesOf[name]])
  })
}
for (const { name, frames: named, cuts } of streams) {
  const data = Buffer.concat(named.map((each) => encodeFrame(framesOf[each])))
  const ends = [...(cuts === 'every' ? data.keys() : cuts), data.length]
  check(`stream: ${name}`, () => {
    const parser = new FrameParser()
    const found = ends.flatMap((end, at) => [...parser.feed(data.subarray(ends[at - 1] ?? 0, end))])
    assert.deepEqual(found, named.map((each) => framesOf[each]))
  })
}
for (const { name, code, hex: bytes } of refused) {
  check(`refused: ${name}`, () => refuses(code, () => [...new FrameParser().feed(hex(bytes))]))
}

const envelopes = load('envelopes.json')
for (const vector of envelopes.envelopes) {
  const { name, flags: names, decode_only: readOnly, hex: bytes, text, ...fields } = vector
  const flags = flagsOf(names), body = text ? Buffer.from(text) : hex(bytes)
  check(`read: ${name}`, () => assert.deepEqual(open(flags, body), fields))
  if (readOnly) continue
  check(`written: ${name}`, () => {
    const written = seal(fields, flags)
    if (text) assert.deepEqual(open(flags, written), fields)
    else assert.deepEqual(written, body)
  })
}
for (const { name, flags, schema, payload, hex: bytes } of envelopes.compact) {
  const envelope = open(flagsOf(flags), hex(bytes))
  check(`compact: ${name}`, () => {
    assert.equal(envelope.schema.toString('hex'), schema)
    assert.deepEqual(spelled(envelope.payload), payload)
    assert.deepEqual(open(flagsOf(flags), seal(envelope, flagsOf(flags))), envelope)
  })
}
for (const { name, flags, code, hex: bytes } of envelopes.refused) {
  check(`refused: ${name}`, () => refuses(code, () => open(flagsOf(flags), hex(bytes))))
}
console.log(`${checked} vectors hold`)
