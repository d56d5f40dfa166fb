/** Locks that are wrong on purpose, each in one way, to see that the judge catches them. */
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'

const RELEASE =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

/** The plain recipe with a correct deadline, which the wrong ones begin from. */
class PlainLock {
  fence = 0
  released = false
  constructor(redis, key, ttlMs) {
    Object.assign(this, { redis, key, ttlMs, value: String(Math.random()) })
  }
  async take(until) {
    while (performance.now() < until) {
      this.sentAt = performance.now()
      const fence = await this.redis.eval(
        "if redis.call('set', KEYS[1], ARGV[1], 'nx', 'px', ARGV[2]) then " +
          "return redis.call('incr', KEYS[2]) end return nil",
        2,
        this.key,
        `{${this.key}}~fence`,
        this.value,
        this.ttlMs,
      )
      if (fence !== null) {
        this.fence = fence
        return this
      }
      await pause(5)
    }
    throw Object.assign(new Error('never'), { code: 'HOLDFAST_ACQUIRE_TIMEOUT' })
  }
  get held() {
    return !this.released && performance.now() < this.sentAt + this.ttlMs
  }
  get signal() {
    return this.held ? new AbortController().signal : AbortSignal.abort()
  }
  async release() {
    this.released = true
    return (await this.redis.eval(RELEASE, 1, this.key, this.value)) === 1
  }
}

/** Looks whose the key is and deletes it in two steps, between which the lease may end. */
class TwoSteps extends PlainLock {
  async release() {
    this.released = true
    if ((await this.redis.get(this.key)) !== this.value) return false
    await pause(Math.random() < 0.7 ? this.ttlMs * (0.9 + 0.4 * Math.random()) : 0)
    return (await this.redis.del(this.key)) === 1
  }
}

/** Never renews and never looks at the time: it believes to hold what has long ended. */
class NoRenewal extends PlainLock {
  get held() {
    return !this.released
  }
}

/** Keeps the lock for ever when its process dies. */
class NoLife extends PlainLock {
  async take(until) {
    await super.take(until)
    await this.redis.persist(this.key)
    return this
  }
  get held() {
    return !this.released
  }
}

/** Numbers its grants by chance. */
class RandomFence extends PlainLock {
  async take(until) {
    await super.take(until)
    this.fence = Math.floor(Math.random() * 1000)
    return this
  }
}

/** Fails where nobody listens. */
class Throwing extends PlainLock {
  async release() {
    if (Math.random() < 0.1) void Promise.reject(new Error('nobody hears this'))
    return await super.release()
  }
}

const makers = {
  PlainLock,
  TwoSteps,
  NoRenewal,
  NoLife,
  RandomFence,
  Throwing,
}

export async function open({ url, options }) {
  const redis = new Redis(url)
  redis.on('error', () => {})
  const Made = makers[options.wrong]
  return {
    acquire: (name, { timeoutMs }) =>
      new Made(redis, `holdfast:${name}`, options.ttlMs).take(performance.now() + timeoutMs),
    close: async () => redis.disconnect(),
  }
}
