/**
 * A lock that lets everybody in, with fences that each process counts for itself: the suite must
 * notice. Within a process the turns overlap, between processes the fences meet. It runs only when
 * it is asked for.
 */
async function openBroken() {
  let fence = 0
  return {
    lock: () => ({
      acquire: () => new Promise((resolve) => setTimeout(() => resolve({ fence: ++fence }), 1)),
      release: async () => {},
    }),
    close: async () => {},
  }
}

export const brokenContenders = [{ name: 'broken', kind: 'broken', sends: [], open: openBroken }]
