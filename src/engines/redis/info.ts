/** What INFO or CLUSTER INFO answered, by field. */
export type Info = ReadonlyMap<string, string>

export function readInfo(text: string): Info {
  const fields = text.split(/\r?\n/).flatMap((line): [string, string][] => {
    const colon = line.indexOf(':')
    return colon <= 0 || line.startsWith('#') ? [] : [[line.slice(0, colon), line.slice(colon + 1)]]
  })
  return new Map(fields)
}

/** A number of it; 0 where it is missing. */
export function count(info: Info, field: string): number {
  return Number(info.get(field) ?? 0)
}
