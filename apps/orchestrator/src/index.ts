export { type Orchestrator, type OrchestratorOptions, startOrchestrator } from './orchestrator.ts'
