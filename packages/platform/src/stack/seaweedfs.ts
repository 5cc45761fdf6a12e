/** The embedded S3 server: SeaweedFS's master, volume server, filer and S3 gateway in one process. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { advertisedHost } from '../config.ts'
import { writeFileAtomic } from '../files.ts'
import { ensureSecrets, randomSecret } from '../secrets.ts'
import { seaweedBinary } from './binaries.ts'
import { stackPaths } from './paths.ts'
import { probeS3 } from './probes.ts'
import type { EmbeddedServer } from './server.ts'
import { ServiceSpec } from './service.ts'
import type { StackFile } from './stack-file.ts'

interface Options {
  readonly stateDir: string
  readonly stack: StackFile
  readonly python: string
  readonly listen: string
  readonly bucket: string
}

export function embeddedSeaweedfs({ stateDir, stack, python, listen, bucket }: Options): EmbeddedServer {
  const folder = stackPaths(stateDir).data('seaweedfs')
  const { ports } = stack
  const secrets = () =>
    ensureSecrets(stateDir, {
      s3_access_key_id: undefined,
      s3_secret_access_key: undefined,
      seaweedfs_signing_key: randomSecret,
    })

  const flags: Record<string, string | number | boolean> = {
    dir: folder,
    ip: '127.0.0.1',
    'ip.bind': '127.0.0.1',
    'master.port': ports.master,
    'master.port.grpc': ports.master_grpc,
    'master.telemetry': false,
    // A single master votes for itself; the default of 10 s would delay every restart by as much.
    'master.electionTimeout': '500ms',
    'master.volumeSizeLimitMB': 1024,
    'volume.port': ports.volume,
    'volume.port.grpc': ports.volume_grpc,
    'volume.preStopSeconds': 0,
    // A cap, not a reservation: each bucket has volumes of its own, and volumes are made as they fill.
    'volume.max': 4096,
    'volume.minFreeSpace': '256MiB',
    filer: true,
    'filer.port': ports.filer,
    'filer.port.grpc': ports.filer_grpc,
    // Relative to the working folder: a socket's path may not exceed 107 bytes.
    'filer.localSocket': 'filer.sock',
    'filer.exposeDirectoryData': false,
    s3: true,
    's3.port': ports.s3,
    's3.port.grpc': ports.s3_grpc,
    's3.ip.bind': listen,
    's3.port.iceberg': 0,
    's3.port.lance': 0,
    's3.localSocket': 's3.sock',
    's3.config': join(folder, 's3.json'),
    's3.autoCreateBucket': false,
    iam: false,
    webdav: false,
    sftp: false,
  }

  async function prepare(): Promise<void> {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { s3_access_key_id, s3_secret_access_key, seaweedfs_signing_key } = await secrets()
    const identity = {
      name: 'limbeck',
      credentials: [{ accessKey: s3_access_key_id, secretKey: s3_secret_access_key }],
      actions: ['Admin', 'Read', 'Write', 'List', 'Tagging'],
    }
    writeFileAtomic(join(folder, 's3.json'), JSON.stringify({ identities: [identity] }), 0o600)
    // The ports behind the gateway check signed tokens: no local user reads or writes objects past S3's keys.
    const sections = ['jwt.signing', 'jwt.signing.read', 'jwt.filer_signing', 'jwt.filer_signing.read']
    const security = sections.map((section) => `[${section}]\nkey = "${seaweedfs_signing_key}"\n`)
    writeFileAtomic(join(folder, 'security.toml'), security.join('\n'), 0o600)
    // One volume at a time for a bucket; the default makes seven.
    writeFileAtomic(join(folder, 'master.toml'), '[master.volume_growth]\ncopy_1 = 1\n', 0o600)
  }

  return {
    folder,
    prepare,
    async probe() {
      const { s3_access_key_id, s3_secret_access_key } = await secrets()
      await probeS3({
        endpoint: `http://${listen === '0.0.0.0' ? '127.0.0.1' : advertisedHost(listen)}:${ports.s3}`,
        region: 'us-east-1',
        bucket,
        access_key_id: s3_access_key_id,
        secret_access_key: s3_secret_access_key,
      })
    },
    // It leaves these in /tmp whatever it is told, and only some when it is killed.
    cleanUp() {
      for (const [role, port] of Object.entries({
        master: ports.master_grpc,
        volume: ports.volume_grpc,
        filer: ports.filer_grpc,
        s3: ports.s3_grpc,
      }))
        rmSync(`/tmp/seaweedfs-${role}-grpc-${port}.sock`, { force: true })
    },
    spec: ServiceSpec.parse({
      name: 's3',
      argv: [
        seaweedBinary(python),
        'server',
        ...Object.entries(flags).map(([name, value]) => `-${name}=${value}`),
      ],
      cwd: folder,
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: folder, TMPDIR: folder },
      inherit_env: false,
      start_timeout_s: 90,
      listen: '127.0.0.1',
      ports: Object.entries(ports)
        .filter(([name]) => !['api', 'postgres', 'valkey'].includes(name))
        .map(([, port]) => port),
      // Its parts end in the order of their start: the volume server closes its files within milliseconds, then the
      // filer tries for half a minute to write its change log, which only other filers would read, to the volume
      // server that is gone. Everything of ours is on disk by then.
      stop_timeout_s: 3,
    }),
  }
}
