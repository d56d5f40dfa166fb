export function obtainNode(major: number): Promise<string>
