package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
)

// Loopback is an HTTP proxy to what the nodes serve on their loopback addresses: a request for http://NODE:PORT, by the
// node's name or address, goes to 127.0.0.1:PORT of that node. As proxy_url of a scrape job it lets Prometheus reach
// agents that nobody else can.
func (l *Lab) Loopback() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(*httputil.ProxyRequest) {}, // what a proxy is asked for has its host in the URL
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			n, err := l.at(host)
			if err != nil {
				return nil, err
			}
			return n.Dial(ctx, network, net.JoinHostPort("127.0.0.1", port))
		}},
	}
}

// at is the node with a name or address.
func (l *Lab) at(host string) (*Node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.nodes {
		if n.name == host || n.address == host {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the lab has no node %s", host)
}
