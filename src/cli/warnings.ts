/**
 * Hands what the library warns of to `tell`, in place of Node's own lines. Warnings of Node itself
 * are not meant for users of a program, and are left out.
 */
export function tellWarnings(tell: (message: string) => void): void {
  process.removeAllListeners('warning')
  process.on('warning', ({ name, message }) => {
    if (name === 'HoldfastWarning') tell(message)
  })
}
