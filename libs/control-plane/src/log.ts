/** The lines that the control plane writes for its operator. Fields are printed after the message. */
export interface ControlPlaneLog {
  info(message: string, fields?: Readonly<Record<string, string | number>>): void
  warn(message: string, fields?: Readonly<Record<string, string | number>>): void
}

export const SILENT_LOG: ControlPlaneLog = { info: () => {}, warn: () => {} }
