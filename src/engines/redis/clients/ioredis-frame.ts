type Arguments = readonly (string | number)[]

/** What is used of a command of ioredis 5 or 6. */
interface Command {
  readonly name: string
  args: Arguments
  toWritable(): string
}

type CommandClass = new (
  name: string,
  args: readonly never[],
  options: { readonly replyEncoding: 'utf8' },
) => Command

type FramedClass = new (name: string, args: Arguments) => Command

interface Sender {
  call(name: string, args: Arguments): Promise<unknown>
  sendCommand?(command: Command): Promise<unknown>
}

/** One class for all connections: each class more would slow down all of them. */
const classes = new WeakMap<CommandClass, FramedClass>()

/**
 * How a client sends a command of many arguments. Its `call` flattens them into a new list, which
 * in Node 20 takes longer than all the rest that it does; a command that brings its arguments along
 * and writes them itself takes a third. A client that makes no such commands sends by `call`.
 */
export function framedSender(redis: Sender): (name: string, args: Arguments) => Promise<unknown> {
  const Command = commandClass(redis)
  if (Command === undefined || redis.sendCommand === undefined) {
    return (name, args) => redis.call(name, args)
  }
  const Framed = classes.get(Command) ?? framedClass(Command)
  classes.set(Command, Framed)
  const sendCommand = redis.sendCommand.bind(redis)
  return (name, args) => sendCommand(new Framed(name, args))
}

/**
 * The class of the commands that this client makes, seen on one that goes nowhere: the client's own
 * constructor does not lead to it, and another copy of the library would have another class.
 */
function commandClass(redis: Sender): CommandClass | undefined {
  let made: Partial<Command> | undefined
  const deaf: Sender = Object.create(redis)
  deaf.sendCommand = async (command) => {
    made = command
  }
  void deaf.call('ping', [])
  return typeof made?.toWritable === 'function' ? (made.constructor as CommandClass) : undefined
}

function framedClass(Base: CommandClass): FramedClass {
  return class Framed extends Base {
    constructor(name: string, args: Arguments) {
      super(name, [], { replyEncoding: 'utf8' })
      // The client shows them with an error.
      this.args = args
    }

    override toWritable(): string {
      return frameOf(this.name, this.args)
    }
  }
}

/** A command as the protocol has it. */
function frameOf(name: string, args: Arguments): string {
  let frame = `*${args.length + 1}\r\n$${name.length}\r\n${name}\r\n`
  for (const arg of args) {
    const text = typeof arg === 'string' ? arg : `${arg}`
    frame += `$${Buffer.byteLength(text)}\r\n${text}\r\n`
  }
  return frame
}
