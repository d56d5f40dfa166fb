/** A lock that lets everybody in: the suite must notice. It runs only when it is asked for. */
async function openBroken() {
  return {
    lock: () => ({
      acquire: () => new Promise((resolve) => setTimeout(resolve, 1)),
      release: async () => {},
    }),
    close: async () => {},
  }
}

export const brokenContenders = [{ name: 'broken', kind: 'broken', sends: [], open: openBroken }]
