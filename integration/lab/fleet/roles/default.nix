{ node, ... }: {
  etc.motd = "node ${node.name}\n";
}
