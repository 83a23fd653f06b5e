//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// proxmox is a host for bin/deploy-image: a real sshd, and a stand-in for qm and qmrestore that keeps VMs as files.
type proxmox struct {
	t    *testing.T
	dir  string // with log, a line for each command that changed something, and vm/ID
	work string // copy of the template
	env  []string
}

// stops makes a program of this machine wait where the test wants it to, as the host's do.
const stops = `#!/bin/bash
set -euo pipefail
call="${0##*/} $*"
if [ -e DIR/stop ] && [[ $call == $(<DIR/stop) ]]; then cat DIR/pause; exit 255; fi
`

// nix stands for the flake's evaluation and build, which need nixpkgs. What an image says of its VM is what nixpkgs makes of the
// options that the template sets; some of its versions give it an EFI disk.
const nix = stops + `
efi="efidisk0: local-lvm:vm-9999-disk-1" disk="virtio0: local-lvm:vm-9999-disk-0,size=3G" cdrom="local-lvm:vm-9999-cloudinit,media=cdrom"
case "$*" in
"eval --json .#proxmoxSettings.proxmox-x86-optimized") echo '{"disk":"scsi","machine":"q35","uefi":true}' ;;
"eval --json .#proxmoxSettings.proxmox-x86-legacy") echo '{"disk":"virtio","machine":"pc","uefi":false}' ;;
"eval --json .#proxmoxSettings.proxmox-arm") echo '{"disk":"scsi","machine":"virt","uefi":true}' ;;
"build --out-link result .#"*)
	mkdir -p result
	case $4 in
	*-optimized) printf '%s\n' "bios: ovmf" "name: nixos" "machine: q35" "ide2: $cdrom" "$efi" "$disk" end ;;
	*-legacy) printf '%s\n' "bios: seabios" "name: nixos" "machine: pc" "ide2: $cdrom" "$disk" end ;;
	*-arm) printf '%s\n' "bios: ovmf" "name: nixos" "machine: virt" "scsi1: $cdrom" "$disk" end ;;
	esac >result/vzdump-qemu-nixos.vma.zst ;;
*) echo "error: flake does not provide attribute" >&2; exit 1 ;;
esac
`

func newProxmox(t *testing.T) proxmox {
	t.Helper()
	t.Parallel()
	p := proxmox{t: t, dir: t.TempDir(), work: t.TempDir()}
	check(t, os.CopyFS(p.work, os.DirFS(template)))
	agent := must[string](t)(builtAgent())
	qm := string(must[[]byte](t)(os.ReadFile("lab/proxmox/qm")))
	address := port(t)
	for name, text := range map[string]string{
		"host/qm": qm, "host/qmrestore": qm,
		"bin/nix":         nix,
		"bin/infra-agent": "#!/bin/sh\nexec " + agent + " \"$@\"\n",
		"bin/ssh":         "#!/bin/sh\nexec /usr/bin/ssh -F DIR/ssh_config \"$@\"\n",
		"bin/scp":         stops + "exec /usr/bin/scp -F DIR/ssh_config \"$@\"\n",
		"ssh_config":      fmt.Sprintf("Host pve\n  HostName 127.0.0.1\n  Port %d\n  User root\n  IdentityFile DIR/client\n  UserKnownHostsFile DIR/known\n  ControlPath DIR/ssh\nHost pve-02\n  HostName 127.0.0.1\n  Port 1\n", address),
		"sshd_config": fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey DIR/host_key\nAuthorizedKeysFile DIR/client.pub\nPidFile none\nUsePAM no\n"+
			"StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\nSetEnv PATH=DIR/host:/usr/bin:/bin SHLVL=1\n", address),
		"vm/.keep": "", "log": "",
	} {
		file := filepath.Join(p.dir, name)
		check(t, os.MkdirAll(filepath.Dir(file), 0o755))
		check(t, os.WriteFile(file, []byte(strings.ReplaceAll(text, "DIR", p.dir)), 0o755))
	}
	for _, key := range []string{"client", "host_key"} {
		must[[]byte](t)(exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(p.dir, key)).CombinedOutput())
	}
	host := must[[]byte](t)(os.ReadFile(filepath.Join(p.dir, "host_key.pub")))
	check(t, os.WriteFile(filepath.Join(p.dir, "known"), fmt.Appendf(nil, "[127.0.0.1]:%d %s", address, host), 0o600))
	check(t, os.MkdirAll("/run/sshd", 0o755))
	sshd := exec.CommandContext(t.Context(), "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(p.dir, "sshd_config"))
	check(t, sshd.Start())
	t.Cleanup(func() { _ = sshd.Wait() })
	servers{t: t}.up("tcp", fmt.Sprint("127.0.0.1:", address))
	ssh := func(args ...string) {
		check(t, exec.Command(filepath.Join(p.dir, "bin/ssh"), args...).Run())
	}
	ssh("-M", "-f", "-N", "pve") // one connection for all
	t.Cleanup(func() { ssh("-q", "-O", "exit", "pve") })
	p.env = append(os.Environ(), "PATH="+p.dir+"/bin:/usr/bin:/bin")
	return p
}

// deploy runs bin/deploy-image, and returns what it says and the commands that changed something since the last time.
func (p proxmox) deploy(args ...string) (said string, changed []string, err error) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "bin/deploy-image", args...)
	cmd.Dir, cmd.Env = p.work, p.env
	out, err := cmd.CombinedOutput()
	log := filepath.Join(p.dir, "log")
	for line := range strings.Lines(string(must[[]byte](p.t)(os.ReadFile(log)))) {
		changed = append(changed, strings.TrimSpace(line))
	}
	check(p.t, os.WriteFile(log, nil, 0o600))
	return string(out), changed, err
}

func (p proxmox) refused(what, why string, args ...string) {
	p.t.Helper()
	said, changed, err := p.deploy(args...)
	if err == nil || !strings.Contains(said, why) || len(changed) > 0 {
		p.t.Errorf("%s: %v, %q, changed %q; want a refusal that says %q", what, err, said, changed, why)
	}
}

// interrupted runs bin/deploy-image, and interrupts it as Ctrl-C does, at the command that begins so.
func (p proxmox) interrupted(at string, args ...string) {
	p.t.Helper()
	pause, stop := filepath.Join(p.dir, "pause"), filepath.Join(p.dir, "stop")
	check(p.t, syscall.Mkfifo(pause, 0o600))
	check(p.t, os.WriteFile(stop, []byte(at+"*"), 0o600))
	cmd := exec.CommandContext(p.t.Context(), "bin/deploy-image", args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = p.work, p.env, &syscall.SysProcAttr{Setpgid: true}
	check(p.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	began := make(chan *os.File, 1)
	go func() {
		f, _ := os.OpenFile(pause, os.O_WRONLY, 0) // waits for the command
		began <- f
	}()
	select {
	case err := <-ended:
		p.t.Fatalf("it ended before %s: %v", at, err)
	case f := <-began:
		check(p.t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
		if err := <-ended; err == nil {
			p.t.Errorf("it was interrupted at %s, and says that all went well", at)
		}
		check(p.t, f.Close())
	}
	check(p.t, os.Remove(pause))
	check(p.t, os.Remove(stop))
	check(p.t, os.WriteFile(filepath.Join(p.dir, "log"), nil, 0o600))
}

// vm returns the configuration of a VM, or nothing where there is none.
func (p proxmox) vm(id string) string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "vm", id))
	return string(text)
}

// left are the images of a VM that lie on the host.
func (p proxmox) left(id string) []string {
	return must[[]string](p.t)(filepath.Glob("/var/tmp/*-" + id + ".vma.zst"))
}

func TestDeployImage(t *testing.T) {
	p := newProxmox(t)
	is := func(what, id string, want ...string) {
		t.Helper()
		if got := p.vm(id); got != strings.Join(want, "\n")+"\n" {
			t.Errorf("%s: VM %s is\n%swant\n%s", what, id, got, strings.Join(want, "\n"))
		}
	}
	p.refused("no arguments", "usage: deploy-image")
	p.refused("another id", "the registry gives web-01 the id 200, and not 201", "pve", "201", "web-01", "proxmox-x86-optimized")
	p.refused("an unknown node", "the registry has no node web-77", "pve", "201", "web-77", "proxmox-x86-optimized")
	p.refused("a name that is none", "is no name of a machine", "pve", "200", "web_01;reboot", "proxmox-x86-optimized")
	p.refused("an id that is none", "is no id of a VM", "pve", "1;reboot", "web-01", "proxmox-x86-optimized")
	p.refused("an unknown image", "the flake has no template proxmox-x87", "pve", "200", "web-01", "proxmox-x87")
	p.refused("a host that does not answer", "pve-02 does not say whether there is a VM 200", "pve-02", "200", "web-01", "proxmox-x86-optimized")
	p.refused("an unknown storage", "storage 'ceph' does not exist", "--storage", "ceph", "pve", "200", "web-01", "proxmox-x86-optimized")

	said, changed, err := p.deploy("--dry-run", "pve", "200", "web-01", "proxmox-x86-optimized")
	if err != nil || !strings.Contains(said, "nothing was done") || !strings.Contains(said, "qmrestore /var/tmp/vzdump-qemu-deploy-image-200.vma.zst 200") || len(changed) > 0 {
		t.Errorf("dry run: %v, %s, changed %q", err, said, changed)
	}

	said, _, err = p.deploy("pve", "200", "web-01", "proxmox-x86-optimized")
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	is("with a SCSI disk", "200", "bios: ovmf", "boot: order=scsi0", "efidisk0: local-lvm:vm-200-disk-1,efitype=4m,pre-enrolled-keys=0",
		"ide2: local-lvm:vm-200-cloudinit,media=cdrom", "machine: q35", "name: web-01", "scsi0: local-lvm:vm-200-disk-0,discard=on,iothread=1,ssd=1")
	p.refused("once more", "the VM 200 is there already (status: stopped)", "pve", "200", "web-01", "proxmox-x86-optimized")

	_, _, err = p.deploy("--storage", "tank", "pve", "1000", "proxmox-x86-optimized", "proxmox-x86-legacy")
	check(t, err)
	is("a template with a VirtIO disk", "1000", "bios: seabios", "ide2: tank:vm-1000-cloudinit,media=cdrom", "machine: pc", "name: proxmox-x86-optimized",
		"template: 1", "virtio0: tank:vm-1000-disk-0,size=3G")

	_, _, err = p.deploy("pve", "101", "dns-02", "proxmox-arm")
	check(t, err)
	is("for ARM", "101", "bios: ovmf", "boot: order=scsi0", "efidisk0: local-lvm:vm-101-disk-1,efitype=4m,pre-enrolled-keys=0",
		"machine: virt", "name: dns-02", "scsi0: local-lvm:vm-101-disk-0,discard=on,iothread=1,ssd=1", "scsi1: local-lvm:vm-101-cloudinit,media=cdrom")

	t.Log("a restore that ends half way is not overwritten, and leaves no image behind")
	check(t, os.WriteFile(filepath.Join(p.dir, "broken"), nil, 0o600))
	if _, _, err := p.deploy("pve", "100", "dns-01", "proxmox-x86-optimized"); err == nil {
		t.Error("a restore that failed was told as one that did not")
	}
	p.refused("after it", "the VM 100 is there already", "pve", "100", "dns-01", "proxmox-x86-optimized")
	if left := p.left("100"); len(left) > 0 {
		t.Errorf("left on the host: %q", left)
	}
}

// Wherever it is interrupted it leaves no image behind. It is run again, once what it left of the VM, which it names, is gone.
func TestDeployImageInterrupted(t *testing.T) {
	p := newProxmox(t)
	args := []string{"pve", "130", "build-01", "proxmox-x86-optimized"}
	_, _, err := p.deploy(args...)
	check(t, err)
	whole := p.vm("130")
	destroy := func() {
		t.Helper()
		must[[]byte](t)(exec.CommandContext(t.Context(), filepath.Join(p.dir, "host/qm"), "destroy", "130").CombinedOutput())
	}
	destroy()
	for _, c := range []struct {
		at string
		vm bool
	}{
		{"nix build", false},
		{"scp", false},
		{"qmrestore", false},
		{"qm set 130 --name", true},
		{"qm config 130", true},
		{"qm set 130 --delete virtio0", true},
		{"qm set 130 --scsi0", true},
		{"qm set 130 --delete efidisk0", true},
		{"qm set 130 --efidisk0", true},
	} {
		p.interrupted(c.at, args...)
		if left := p.left("130"); len(left) > 0 {
			t.Errorf("interrupted at %s it left %q on the host", c.at, left)
		}
		if got := p.vm("130") != ""; got != c.vm {
			t.Errorf("interrupted at %s: there is a VM: %v, want %v", c.at, got, c.vm)
		}
		if c.vm {
			p.refused("again, after "+c.at, "qm destroy 130, if it is of a run that was interrupted", args...)
		} else if said, _, err := p.deploy(args...); err != nil || p.vm("130") != whole {
			t.Errorf("again, after %s: %v, %s\nVM 130 is\n%swant\n%s", c.at, err, said, p.vm("130"), whole)
		}
		destroy()
	}
}
