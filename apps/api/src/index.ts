export { type Api, type ApiOptions, startApi } from './api.ts'
export { WORKER_TIMES, type WorkerTimes } from './context.ts'
