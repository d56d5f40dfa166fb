/** How long the first import of some modules takes, after others. */
const { before, measured } = JSON.parse(process.argv[2])
for (const path of before) await import(path)
const from = performance.now()
for (const path of measured) await import(path)
process.send(performance.now() - from)
