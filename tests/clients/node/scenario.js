'use strict'
// The scenario of tests/clients/README.md with kafkajs, which speaks old versions of the protocol
// and has, without plugins, no compression but gzip.

const assert = require('node:assert').strict
const { createHash } = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')
const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')

const { BOOTSTRAP, PREFIX, SHARED } = process.env
const DURAMEN = process.env.DURAMEN === '1'
const TOPIC = `${PREFIX}-kafkajs`
const GROUP = `${TOPIC}-group`
const PARTITIONS = 4
const RECORDS = 100
const SHARED_RECORDS = 20
const WAIT_MS = 20_000
const BASE_TIME = Date.now() - 3_600_000
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP }

const kafka = new Kafka({ brokers: [BOOTSTRAP], logLevel: logLevel.NOTHING, requestTimeout: 10_000, retry: { retries: 4 } })
const admin = kafka.admin()
const expected = Array.from({ length: PARTITIONS }, () => []) // what was produced to each partition, in order
let produced = 0
let failed = 0

async function main() {
  await admin.connect()
  await step('describe cluster', describeCluster)
  await step('create topic', createTopic)
  await step('describe topic', describeTopic)
  await step('describe topic config', async () => assert.equal(await setting('retention.ms'), '86400000'))
  for (const codec of Object.keys(CODECS)) await step(`produce ${codec}`, () => produce({}, { compression: CODECS[codec] }))
  await step('produce idempotent', () => produce({ idempotent: true, maxInFlightRequests: 1 }, {}))
  for (const acks of [0, 1, -1]) await step(`produce acks=${acks === -1 ? 'all' : acks}`, () => produce({}, { acks }))
  await step('produce for the other clients', produceShared)
  await step('read back', readBack)
  await step('offsets by time', offsetsByTime)
  await groups()
  await step('alter config', alterConfig)
  await step('create partitions', createPartitions)
  await step('delete records', deleteRecords)
  await step('unknown topic', unknownTopic)
  await step('record too large', recordTooLarge)
  await step(DURAMEN ? 'transactions are refused at once' : 'transactions begin', transactions)
  await step('delete group', deleteGroup)
  await step('delete topic', deleteTopic)
  await admin.disconnect()
  process.exit(failed === 0 ? 0 : 1)
}

// Topics

async function describeCluster() {
  const cluster = await admin.describeCluster()
  assert.ok(cluster.clusterId)
  assert.ok(cluster.brokers.some(broker => broker.nodeId === cluster.controller), 'the controller is a listed broker')
}

async function createTopic() {
  const configEntries = [{ name: 'retention.ms', value: '86400000' }]
  const topic = { topic: TOPIC, numPartitions: PARTITIONS, configEntries }
  assert.equal(await admin.createTopics({ topics: [topic], waitForLeaders: true }), true)
  assert.equal(await admin.createTopics({ topics: [topic] }), false, 'made twice')
  assert.ok((await admin.listTopics()).includes(TOPIC))
}

async function describeTopic() {
  const { topics } = await admin.fetchTopicMetadata({ topics: [TOPIC] })
  assert.equal(topics[0].partitions.length, PARTITIONS)
  for (const partition of topics[0].partitions) {
    assert.deepEqual(partition.replicas, [partition.leader])
    assert.deepEqual(partition.isr, [partition.leader])
  }
}

// Producing

async function produce(settings, options) {
  const records = Array.from({ length: RECORDS }, () => record(produced++))
  const producer = kafka.producer(settings)
  await producer.connect()
  await producer.send({ topic: TOPIC, messages: records, ...options })
  await producer.disconnect()
  for (const sent of records) expected[sent.partition].push(sent)
  await until('the log ends behind the last record', async () => {
    const ends = (await admin.fetchTopicOffsets(TOPIC)).sort((a, b) => a.partition - b.partition).map(end => Number(end.high))
    return ends.join() === expected.map(sent => sent.length).join()
  })
}

// Keys, values and headers of every shape: absent, empty, small, and of all byte values.
function record(n) {
  const key = n % 10 === 3 ? null : Buffer.from(`key-${n}`)
  const value = n % 10 === 7 ? null : Buffer.from(Array.from({ length: (n * 37) % 1500 }, (_, i) => (n + i) % 256))
  const headers = n % 3 === 0 ? { h: [Buffer.from(`${n}`), Buffer.from('again')], empty: Buffer.alloc(0) } : {}
  return { partition: n % PARTITIONS, timestamp: `${BASE_TIME + n}`, key, value, headers }
}

async function produceShared() {
  const producer = kafka.producer()
  await producer.connect()
  for (const codec of Object.keys(CODECS)) {
    const keys = Array.from({ length: SHARED_RECORDS }, (_, i) => `kafkajs/${codec}/${i}`)
    const messages = keys.map((key, i) => {
      const digest = createHash('sha256').update(key).digest()
      return { key, value: Buffer.concat(Array(i + 1).fill(digest)) }
    })
    await producer.send({ topic: SHARED, messages, compression: CODECS[codec] })
  }
  await producer.disconnect()
}

// Reading

async function readBack() {
  const read = expected.map(() => [])
  const member = await join(`${GROUP}-reader`, ({ partition, message }) => read[partition].push(message))
  await until('every record', () => read.every((messages, p) => messages.length >= expected[p].length))
  await member.consumer.disconnect()
  for (let p = 0; p < PARTITIONS; p++) {
    assert.equal(read[p].length, expected[p].length)
    for (const [offset, sent] of expected[p].entries()) {
      const got = read[p][offset]
      const { partition, ...rest } = sent
      assert.deepEqual({ timestamp: got.timestamp, key: got.key, value: got.value, headers: got.headers }, rest,
        `partition ${partition} offset ${offset}`)
      assert.equal(Number(got.offset), offset)
    }
  }
}

async function offsetsByTime() {
  const sent = expected[1][10]
  const found = await admin.fetchTopicOffsetsByTimestamp(TOPIC, Number(sent.timestamp))
  assert.equal(found.find(offset => offset.partition === 1).offset, '10')
  const { low, high } = (await admin.fetchTopicOffsets(TOPIC)).find(offset => offset.partition === 1)
  assert.deepEqual([low, high], ['0', `${expected[1].length}`])
}

// Groups

async function groups() {
  const members = []
  const grow = async counts => {
    members.push(await join(GROUP))
    await until(`shares of ${counts}`, () => shares(members) === counts)
  }
  await step('group: one member has all', () => grow('4'))
  await step('group: a second member shares', () => grow('2,2'))
  await step('list groups', async () => {
    const group = (await admin.listGroups()).groups.find(listed => listed.groupId === GROUP)
    assert.equal(group.protocolType, 'consumer')
  })
  await step('describe group', async () => {
    const [group] = (await admin.describeGroups([GROUP])).groups
    assert.deepEqual([group.state, group.protocol, group.members.length], ['Stable', 'RoundRobinAssigner', 2])
  })
  await step('group: the other member leaves', async () => {
    await members.pop().consumer.disconnect()
    await until('four partitions again', () => shares(members) === '4')
  })
  await step('commit', async () => {
    const offsets = [0, 1, 2, 3].map(partition => ({ topic: TOPIC, partition, offset: `${10 + partition}`, metadata: 'note' }))
    await members[0].consumer.commitOffsets(offsets)
    await members.pop().consumer.disconnect()
    const [stored] = await admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
    const facts = stored.partitions.sort((a, b) => a.partition - b.partition).map(p => `${p.offset} ${p.metadata}`)
    assert.deepEqual(facts, ['10 note', '11 note', '12 note', '13 note'])
  })
  await step('resume from the commit', async () => {
    const first = {}
    const member = await join(GROUP, ({ partition, message }) => { first[partition] ??= Number(message.offset) })
    await until('a record of each partition', () => Object.keys(first).length === PARTITIONS)
    await member.consumer.disconnect()
    assert.deepEqual(first, { 0: 10, 1: 11, 2: 12, 3: 13 })
  })
  await step('reset offsets of an empty group', async () => {
    await admin.setOffsets({ groupId: GROUP, topic: TOPIC, partitions: [{ partition: 0, offset: '3' }] })
    const [stored] = await admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
    assert.equal(stored.partitions.find(p => p.partition === 0).offset, '3')
  })
  for (const member of members) await member.consumer.disconnect()
}

// A member that hands each record to `see` and knows its share.
async function join(groupId, see = () => {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 100 })
  const member = { consumer, share: 0 }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    member.share = (payload.memberAssignment[TOPIC] ?? []).length
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [TOPIC], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async message => { see(message) } })
  return member
}

const shares = members => members.map(member => member.share).join()

async function deleteGroup() {
  const [{ errorCode }] = await admin.deleteGroups([GROUP])
  assert.equal(errorCode, 0)
  await assert.rejects(admin.deleteGroups([GROUP]), error => error.groups[0].error.type === 'GROUP_ID_NOT_FOUND')
}

// Changes

async function setting(name) {
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: TOPIC, configNames: [name] }]
  return (await admin.describeConfigs({ resources, includeSynonyms: false })).resources[0].configEntries[0].configValue
}

async function alterConfig() {
  const resource = { type: ConfigResourceTypes.TOPIC, name: TOPIC }
  const alter = configEntries => admin.alterConfigs({ resources: [{ ...resource, configEntries }] })
  await alter([{ name: 'retention.ms', value: '3600000' }])
  await until('the change', async () => (await setting('retention.ms')) === '3600000')
  await alter([])
  await until('the default', async () => (await setting('retention.ms')) === '604800000')
  await assert.rejects(alter([{ name: 'no.such.setting', value: '1' }]), { type: 'INVALID_CONFIG' })
}

async function createPartitions() {
  await admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count: 6 }] })
  // Kafka lists a new partition a moment before it can be read.
  await until('six partitions', async () => (await admin.fetchTopicOffsets(TOPIC).catch(() => [])).length === 6)
}

async function deleteRecords() {
  await admin.deleteTopicRecords({ topic: TOPIC, partitions: [{ partition: 0, offset: '7' }] })
  assert.equal((await admin.fetchTopicOffsets(TOPIC)).find(offset => offset.partition === 0).low, '7')
}

// Refusals

async function unknownTopic() {
  const absent = `${TOPIC}-absent`
  await assert.rejects(admin.deleteTopics({ topics: [absent] }), /topic-partition/)
  const producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 0 } })
  await producer.connect()
  await assert.rejects(producer.send({ topic: absent, messages: [{ value: 'x' }] }), /topic-partition/)
  await producer.disconnect()
  assert.ok(!(await admin.listTopics()).includes(absent), 'looking made it')
}

async function recordTooLarge() {
  const producer = kafka.producer()
  await producer.connect()
  const send = value => producer.send({ topic: TOPIC, messages: [{ partition: 0, value }] })
  await assert.rejects(send(Buffer.alloc(2_000_000)), { type: 'MESSAGE_TOO_LARGE' })
  await send('the connection lives')
  await producer.disconnect()
}

async function transactions() {
  const start = Date.now()
  const producer = kafka.producer({ transactionalId: `${TOPIC}-txn`, maxInFlightRequests: 1, idempotent: true })
  try {
    await producer.connect()
    await (await producer.transaction()).abort()
  } catch (error) {
    assert.ok(DURAMEN, `refused: ${error}`)
    assert.ok(Date.now() - start < 5000, `it took ${Date.now() - start} ms: ${error}`)
    assert.ok(!error.retriable, `it may be retried: ${error}`)
    return
  } finally {
    await producer.disconnect()
  }
  assert.ok(!DURAMEN, 'a transaction began')
}

async function deleteTopic() {
  await admin.deleteTopics({ topics: [TOPIC] })
  await until('the topic is gone', async () => !(await admin.listTopics()).includes(TOPIC))
}

// Steps

async function step(name, body) {
  try {
    await body()
    console.log(`ok ${name}`)
  } catch (error) {
    failed++
    console.log(`FAIL ${name}: ${`${error.message}`.split('\n')[0]}`)
    console.error(error)
  }
}

async function until(what, holds) {
  const deadline = Date.now() + WAIT_MS
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `waited ${WAIT_MS / 1000} s in vain for: ${what}`)
    await sleep(20)
  }
}

main()
