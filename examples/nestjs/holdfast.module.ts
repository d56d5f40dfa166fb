import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common'
import { connect, type Holdfast } from 'holdfast'

/** What to inject: `@Inject(HOLDFAST) private readonly holdfast: Holdfast`. */
export const HOLDFAST = Symbol('HOLDFAST')

/** One Holdfast for the whole application, closed with it. */
@Global()
@Module({
  providers: [
    {
      provide: HOLDFAST,
      useFactory: () => connect(process.env['HOLDFAST_URL'] ?? 'redis://localhost:6379'),
    },
  ],
  exports: [HOLDFAST],
})
export class HoldfastModule implements OnApplicationShutdown {
  constructor(@Inject(HOLDFAST) private readonly holdfast: Holdfast) {}

  /** After the last request: gives back what is held and ends every wait. */
  async onApplicationShutdown(): Promise<void> {
    await this.holdfast.close()
  }
}
