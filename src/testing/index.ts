export {
  place,
  type TestContext,
  type TestRunner,
  type World,
} from './contract/world.ts'
export { type ContractOptions, engineContract } from './contract.ts'
export {
  type Fault,
  type FaultOptions,
  type FaultPlan,
  faultyEngine,
  type Operation,
} from './faulty-engine.ts'
export { SimulatedClock, seededRandom, settled } from './simulated-clock.ts'
