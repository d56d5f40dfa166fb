/**
 * NestJS with Holdfast as something to inject. Here two calls compete, as two processes would:
 *
 *   npx tsc -p examples/nestjs --outDir examples/nestjs/dist && node examples/nestjs/dist/main.js
 */
import 'reflect-metadata'
import { Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { HoldfastModule } from './holdfast.module.js'
import { InvoicesService } from './invoices.service.js'

@Module({ imports: [HoldfastModule], providers: [InvoicesService] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] })
app.enableShutdownHooks()
const invoices = app.get(InvoicesService)
for (const outcome of await Promise.all([invoices.send('2026-11'), invoices.send('2026-11')])) {
  console.log(outcome)
}
console.log(await invoices.send('2026-11'))
await app.close()
console.log('closed')
