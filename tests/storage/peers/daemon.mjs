// A js-ipfs daemon on loopback that knows nobody: `node daemon.mjs MODULES REPOSITORY PORT`.
// PORT is its swarm's. Prints one line of JSON with the addresses of its API and its swarm.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'

// Node 20 has no Promise.withResolvers, which the daemon's dependencies use.
Promise.withResolvers ??= () => {
  let resolve, reject
  const promise = new Promise((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}

const [modules, repository, port] = process.argv.slice(2)
const require = createRequire(join(modules, 'index.js'))
const entry = join(modules, 'node_modules/ipfs-daemon/src/index.js')
const { Daemon } = await import(pathToFileURL(entry).href)

const daemon = new Daemon({
  repo: repository,
  silent: true,
  init: { algorithm: 'Ed25519', emptyRepo: true, profiles: ['test'] },
  preload: { enabled: false },
  config: {
    Addresses: {
      Swarm: [`/ip4/127.0.0.1/tcp/${port}`],
      API: '/ip4/127.0.0.1/tcp/0',
      Gateway: '/ip4/127.0.0.1/tcp/0',
      RPC: '',
      Delegates: []
    },
    Bootstrap: [],
    Discovery: { MDNS: { Enabled: false }, webRTCStar: { Enabled: false } },
    Routing: { Type: 'none' },
    Swarm: { DisableNatPortMap: true }
  }
})
await daemon.start()
const { id } = await daemon._ipfs.id()
console.log(JSON.stringify({
  api: String(daemon._httpApi._apiServers[0].info.ma),
  swarm: `/ip4/127.0.0.1/tcp/${port}/p2p/${id}`
}))
