/** Where the process listens and the commands look, unless somebody says otherwise. Apart from the schema: probes load nothing heavy. */
export const CONTROL_SOCKET = "/run/pillion/control.sock";
